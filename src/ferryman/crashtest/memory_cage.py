"""MemoryCage: a memory cgroup in which the kernel's OOM killer ends a worker, as in a container with a limit.

Needs root and a cgroup file system that may be written to. Where there is none, there is no honest way to run out of
memory: a SIGKILL from here would be `sigkill` under another name, so the kind `oom` is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Final

#: A worker in it may take this much beyond what it had when it was put in (bytes).
LIMIT_BYTES: Final = 48 << 20

_ROOT: Final = Path("/sys/fs/cgroup")


class MemoryCage:
    """One cgroup, `folder`, of version 1 or 2. Whoever is put in may take LIMIT_BYTES more, and then dies."""

    def __init__(self, folder: Path, *, version: int) -> None:
        self._folder = folder
        self._is_v1 = version == 1
        #: One at a time: two would share the limit.
        self.free = asyncio.Lock()

    @classmethod
    def build(cls) -> MemoryCage | None:
        """None where it can't be done."""
        name = f"ferryman-crash-test-{os.getpid()}"
        for root, version in ((_ROOT / "memory", 1), (_ROOT, 2)):
            cage = cls(root / name, version=version)
            if cage._make():
                return cage
            cage.remove()
        return None

    def lock_in(self, pid: int) -> None:
        """This process, with all its threads. What it has already counts elsewhere. Raises OSError."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def kills(self) -> int:
        """How many processes the kernel has killed in here."""
        events = self._folder / ("memory.oom_control" if self._is_v1 else "memory.events")
        counts = dict(line.split() for line in events.read_text().splitlines())
        return int(counts.get("oom_kill", 0))

    def remove(self) -> None:
        """Nobody may be in it any more."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _make(self) -> bool:
        limit = "memory.limit_in_bytes" if self._is_v1 else "memory.max"
        try:
            self._folder.mkdir()
            # On a system without this controller the file is not there, and must not be made.
            with (self._folder / limit).open("r+") as file:
                file.write(str(LIMIT_BYTES))
            self.kills()
        except (OSError, ValueError):
            return False
        if not self._is_v1:
            with contextlib.suppress(OSError):
                (self._folder / "memory.swap.max").write_text("0")
        return True
