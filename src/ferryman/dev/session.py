"""A session of `ferryman dev`: starts Redis, the scheduler, the API and a worker per queue; restarts workers when a
file is saved; stops everything in order, Redis last, so that workers can give back what they hold."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from watchfiles import DefaultFilter, awatch

from ferryman.cli.failure import CommandFailed
from ferryman.dev.children import Child
from ferryman.dev.console import Console, banner
from ferryman.dev.discover import FoundQueue, discover
from ferryman.dev.redis_server import RedisServer, free_port

_GRACE_S: Final = 5
# The worker spends its own grace before this one ends.
_PATIENCE_S: Final = _GRACE_S + 5


@dataclass(frozen=True, slots=True)
class DevSettings:
    """`redis_url` None = an embedded server."""

    app: str
    redis_url: str | None
    port: int
    folder: Path = Path(".ferryman")


class Session:
    """Runs until it is told to stop."""

    def __init__(self, settings: DevSettings) -> None:
        self._settings = settings
        self._console = Console()
        self._server: RedisServer | None = None
        self._redis_url = settings.redis_url or ""
        self._workers: dict[str, Child] = {}
        self._services: dict[str, Child] = {}
        self._queues: list[FoundQueue] = []
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Raises CommandFailed when it cannot start, or when Redis ends by itself."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        with _lock(self._settings.folder):
            self._queues = await discover(self._settings.app)
            try:
                await self._start()
                await self._live()
            finally:
                await self._stop_all()

    async def _start(self) -> None:
        kind = "yours"
        if not self._redis_url:
            self._server = RedisServer(self._settings.folder.resolve() / "redis")
            await self._server.start()
            self._redis_url, kind = self._server.url, f"{self._server.kind}, its data is in {self._settings.folder}/"
        port = free_port(self._settings.port)
        self._services["api"] = self._child("api", "api", "--host", "127.0.0.1", "--port", str(port))
        self._match_queues()
        # Another process listens; no event tells of it.
        while not self._stop.is_set() and not await _listens(port):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        if not self._stop.is_set():
            click.echo(banner(self._settings.app, self._queues, f"http://127.0.0.1:{port}", self._redis_url, kind))

    async def _live(self) -> None:
        waits = [asyncio.create_task(self._reload_on_save()), asyncio.create_task(self._stop.wait())]
        if self._server is not None:
            waits.append(asyncio.create_task(self._watch_server(self._server)))
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for wait in done:
            wait.result()

    async def _watch_server(self, server: RedisServer) -> bool:
        code = await server.ended()
        if not self._stop.is_set():
            raise CommandFailed(f"{server.kind} ended with {code}:\n{server.last_words()}")
        return True

    async def _reload_on_save(self) -> bool:
        async for _ in awatch(*_watched(self._settings.app), watch_filter=_Sources(), stop_event=self._stop):
            try:
                self._queues = await discover(self._settings.app)
            except CommandFailed as error:
                self._console.warn(f"{error.message}\nThe workers go on with the last good version.")
                continue
            self._console.remark("Saved: starting the workers again.")
            kept = [worker for name, worker in self._workers.items() if any(name == q.name for q in self._queues)]
            await asyncio.gather(*(worker.restart() for worker in kept), self._drop_gone())
            self._match_queues()
        return True

    async def _drop_gone(self) -> None:
        names = {queue.name for queue in self._queues}
        gone = [self._workers.pop(name) for name in list(self._workers) if name not in names]
        await asyncio.gather(*(worker.stop() for worker in gone))
        if (gone or names - set(self._workers)) and (scheduler := self._services.pop("scheduler", None)):
            await scheduler.stop()

    def _match_queues(self) -> None:
        """Starts what the queues need and does not run yet."""
        for queue in self._queues:
            if queue.name not in self._workers:
                words = ("worker", queue.name, "--app", self._settings.app)
                self._workers[queue.name] = self._child(f"worker {queue.name}", *words, container=queue.name)
        if "scheduler" not in self._services:
            options = (word for queue in self._queues for word in ("--queue", queue.name))
            self._services["scheduler"] = self._child("scheduler", "scheduler", *options)

    def _child(self, name: str, *words: str, container: str = "") -> Child:
        self._console.expect(name)
        argv = [sys.executable, "-m", "ferryman", *words, "--redis", self._redis_url]
        return Child(name, argv, self._environment(container), self._console.say, _PATIENCE_S)

    def _environment(self, container: str) -> dict[str, str]:
        folder = self._settings.folder.resolve()
        # Secrets and addresses of a real deployment have no place here.
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FERRYMAN_API_", "FERRYMAN_REDIS_", "FERRYMAN_WAIT_"))
        }
        env |= {"PYTHONUNBUFFERED": "1", "FERRYMAN_PORT": "0", "FERRYMAN_SHUTDOWN_GRACE": f"{_GRACE_S}s"}
        if container:
            # As in a pod: a restarted worker recovers at once what its predecessor held.
            place = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
            env |= {
                "FERRYMAN_POD_UID": f"dev-{place}",
                "FERRYMAN_CONTAINER": container,
                "FERRYMAN_RUN_DIR": str(folder),
                "FERRYMAN_TERMINATION_LOG": str(folder / f"{container}.worker-id"),
            }
        return env

    def _asked_to_stop(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            self._console.remark(f"\nStopping; tasks that run have {_GRACE_S} s to end. Ctrl-C again ends it at once.")
            return
        for child in (*self._workers.values(), *self._services.values()):
            child.kill()

    async def _stop_all(self) -> None:
        children = [*self._workers.values(), *self._services.values()]
        await asyncio.gather(*(child.stop() for child in children))
        if self._server is not None:
            await self._server.stop()


class _Sources(DefaultFilter):
    ignore_dirs = (*DefaultFilter.ignore_dirs, ".ferryman", ".cluster")

    def __call__(self, change: object, path: str) -> bool:
        return path.endswith(".py") and super().__call__(change, path)  # type: ignore[arg-type]


def _watched(app: str) -> set[Path]:
    target = app.partition(":")[0]
    return {Path.cwd(), Path(target).resolve().parent} if target.endswith(".py") else {Path.cwd()}


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Two servers on one append-only file would spoil it."""
    folder.mkdir(exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CommandFailed(f"another `ferryman dev` runs here (it holds {folder}/lock); stop it first") from error
        yield
