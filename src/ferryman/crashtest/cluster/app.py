"""The app that the workers of a crash test on Kubernetes run: the tasks of the local one, with the collector's log.

A worker process introduces itself to the collector when it imports this, and holds that connection for life.
"""

from __future__ import annotations

import secrets
import socket
import time
from pathlib import Path
from typing import Final

from ferryman.crashtest.app import LIMITS, define_tasks
from ferryman.crashtest.cluster.remote_log import Line, RemoteLog
from ferryman.queue import Queue

#: Held open until the kernel closes them: a process that is dead.
_LIVES: Final[list[Line]] = []

#: The fields of /proc/<pid>/stat after the name: the 20th is when it started, in ticks of 10 ms since boot.
_STARTED: Final = 19


def work_queue(name: str, host: str, port: int) -> Queue:
    """The queue as this worker process runs it. Waits for the collector."""
    pod = socket.gethostname()
    process = f"{pod}.{secrets.token_hex(3)}"
    life = Line(host, port)
    life.send(f"up {pod} {process} {_age_ms():.0f}")
    _LIVES.append(life)
    queue = Queue(name, limits=LIMITS)
    define_tasks(queue, RemoteLog(host, port, process))
    return queue


def shim(name: str, host: str, port: int) -> str:
    """The module that is given to the workers with --app."""
    return f"from ferryman.crashtest.cluster.app import work_queue\n\nqueue = work_queue({name!r}, {host!r}, {port})\n"


def _age_ms() -> float:
    """How long this process has been there."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1_000 - int(fields[_STARTED]) * 10
