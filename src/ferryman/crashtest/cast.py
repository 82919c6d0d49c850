"""Cast: all processes of a crash test that run Ferryman: workers in pods of their own, and schedulers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.actor import Actor, Exit, ferryman
from ferryman.crashtest.app import app_file
from ferryman.link import Link
from ferryman.workers import WorkerRegistry

_START_WITHIN_S: Final = 90.0
_LOOK_EVERY_S: Final = 0.2


class Cast:
    """`env` is the environment of every process, without what is set here."""

    def __init__(
        self, queue: str, folder: Path, log: Path, env: Mapping[str, str], workers: int, schedulers: int
    ) -> None:
        self._queue = queue
        self._env = env
        self._folder = folder
        run_dir = folder / "run"
        run_dir.mkdir()
        common = {**env, "FERRYMAN_PORT": "0", "FERRYMAN_RUN_DIR": str(run_dir), "FERRYMAN_CONTAINER": "worker"}

        def worker_env(pod: str) -> Mapping[str, str]:
            termination_log = str(run_dir / f"{pod}.termination")
            return {
                **common,
                "FERRYMAN_POD_UID": pod,
                "FERRYMAN_POD_NAME": pod,
                "FERRYMAN_TERMINATION_LOG": termination_log,
            }

        def worker_argv(process: str) -> list[str]:
            return ferryman("worker", queue, "--app", str(app_file(folder, queue, log, process)))

        self.workers = [Actor(f"worker-{n}", worker_argv, worker_env, folder) for n in range(workers)]
        self.schedulers = [
            Actor(f"scheduler-{n}", lambda _: ferryman("scheduler", "--queue", queue), lambda _: common, folder)
            for n in range(schedulers)
        ]

    async def start(self, link: Link) -> None:
        """Returns when all workers have registered. Raises CommandFailed, with what one of them said."""
        for actor in (*self.workers, *self.schedulers):
            actor.start()
        if missing := await self.wait_for_workers(link, _START_WITHIN_S):
            raise CommandFailed(
                f"{missing[0]} did not register in {_START_WITHIN_S:g} s. It said:\n{self._words(missing[0])}"
            )

    async def wait_for_workers(self, link: Link, within_s: float) -> list[str]:
        """The places whose present pod has no living worker in Redis, when there is none left or the time is up."""
        give_up = asyncio.get_running_loop().time() + within_s
        while True:
            rows = await link.run(WorkerRegistry(self._queue).list())
            beating = {row.pod for row in rows if row.deadline_ms}
            missing = [actor.place for actor in self.workers if actor.pod not in beating]
            if not missing or asyncio.get_running_loop().time() > give_up:
                return missing
            await asyncio.sleep(_LOOK_EVERY_S)

    async def stop(self) -> None:
        """In order: workers give back what they hold."""
        await asyncio.gather(*(actor.stop() for actor in (*self.workers, *self.schedulers)))

    def kill(self) -> None:
        """At once."""
        for actor in (*self.workers, *self.schedulers):
            actor.kill()

    def unasked_exits(self) -> list[Exit]:
        """Processes that ended and were neither killed nor told to."""
        return [one for actor in (*self.workers, *self.schedulers) for one in actor.exits if not one.asked]

    def _words(self, place: str) -> str:
        return "\n".join((self._folder / f"{place}.out").read_text(errors="replace").splitlines()[-8:])
