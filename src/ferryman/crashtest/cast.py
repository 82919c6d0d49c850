"""Cast: all processes of a crash test that run Ferryman: workers in pods of their own, schedulers, and the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.actor import Actor, Exit, ferryman
from ferryman.crashtest.app import app_file
from ferryman.crashtest.strike import GRACE_MS
from ferryman.errors import BrokerError
from ferryman.link import Link
from ferryman.workers import WorkerRegistry

#: The place of `ferryman api`.
API_PLACE: Final = "api-0"

_START_WITHIN_S: Final = 90.0
_LOOK_EVERY_S: Final = 0.2


def worker_places(count: int) -> list[str]:
    """The names of the places of so many workers."""
    return [f"worker-{number}" for number in range(count)]


def scheduler_places(count: int) -> list[str]:
    """The same of schedulers."""
    return [f"scheduler-{number}" for number in range(count)]


class Cast:
    """`env` is the environment of every process, without what is set here; `redis_url(place)` its way to Redis.

    `api_port` is where the API listens; 0 = there is none.
    """

    def __init__(
        self,
        queue: str,
        folder: Path,
        log: Path,
        env: Mapping[str, str],
        redis_url: Callable[[str], str],
        *,
        workers: int,
        schedulers: int,
        api_port: int,
    ) -> None:
        self._queue = queue
        self._folder = folder
        self._api_port = api_port
        self._run_dir = folder / "run"
        self._run_dir.mkdir()
        self._env = {
            **env,
            "FERRYMAN_PORT": "0",
            "FERRYMAN_RUN_DIR": str(self._run_dir),
            "FERRYMAN_CONTAINER": "worker",
            "FERRYMAN_SHUTDOWN_GRACE": f"{GRACE_MS}ms",
        }
        self._redis_url = redis_url

        def worker_argv(process: str) -> list[str]:
            return ferryman("worker", queue, "--app", str(app_file(folder, queue, log, process)))

        def scheduler_argv(process: str) -> list[str]:
            return ferryman("scheduler", "--queue", queue)

        def api_argv(process: str) -> list[str]:
            return ferryman("api", "--host", "127.0.0.1", "--port", str(api_port))

        def actor(place: str, argv: Callable[[str], list[str]]) -> Actor:
            return Actor(place, argv, partial(self._environment, place), folder)

        self.workers = [actor(place, worker_argv) for place in worker_places(workers)]
        self.schedulers = [actor(place, scheduler_argv) for place in scheduler_places(schedulers)]
        self.api = actor(API_PLACE, api_argv) if api_port else None

    @property
    def all(self) -> list[Actor]:
        """Every place."""
        return [*self.workers, *self.schedulers, *([self.api] if self.api else [])]

    async def start(self, link: Link) -> None:
        """Returns when all workers have registered. Raises CommandFailed, with what one of them said."""
        for actor in self.all:
            actor.start()
        missing = await self.wait_for_workers(link, _START_WITHIN_S)
        if not missing and not await self._api_answers():
            missing = [API_PLACE]
        if missing:
            raise CommandFailed(
                f"{missing[0]} did not start in {_START_WITHIN_S:g} s. It said:\n{self._words(missing[0])}"
            )

    async def wait_for_workers(self, link: Link, within_s: float) -> list[str]:
        """The places whose present pod has no living worker in Redis, when there is none left or the time is up."""
        give_up = asyncio.get_running_loop().time() + within_s
        while True:
            missing = [actor.place for actor in self.workers]
            with suppress(BrokerError):  # the next look finds it
                rows = await link.run(WorkerRegistry(self._queue).list())
                beating = {row.pod for row in rows if row.deadline_ms}
                missing = [actor.place for actor in self.workers if actor.pod not in beating]
            if not missing or asyncio.get_running_loop().time() > give_up:
                return missing
            await asyncio.sleep(_LOOK_EVERY_S)

    async def stop(self) -> None:
        """In order: workers give back what they hold."""
        await asyncio.gather(*(actor.stop() for actor in self.all))

    def kill(self) -> None:
        """At once."""
        for actor in self.all:
            actor.kill()

    def unasked_exits(self) -> list[Exit]:
        """Processes that ended and were neither killed nor told to."""
        return [one for actor in self.all for one in actor.exits if not one.asked]

    def _environment(self, place: str, pod: str) -> Mapping[str, str]:
        common = {**self._env, "FERRYMAN_REDIS_URL": self._redis_url(place)}
        if place not in worker_places(len(self.workers)):
            return common
        termination_log = str(self._run_dir / f"{pod}.termination")
        return {
            **common,
            "FERRYMAN_POD_UID": pod,
            "FERRYMAN_POD_NAME": pod,
            "FERRYMAN_TERMINATION_LOG": termination_log,
        }

    async def _api_answers(self) -> bool:
        give_up = asyncio.get_running_loop().time() + _START_WITHIN_S
        while self._api_port and asyncio.get_running_loop().time() < give_up:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._api_port)
                writer.close()
                return True
            await asyncio.sleep(_LOOK_EVERY_S)
        return not self._api_port

    def _words(self, place: str) -> str:
        return "\n".join((self._folder / f"{place}.out").read_text(errors="replace").splitlines()[-8:])
