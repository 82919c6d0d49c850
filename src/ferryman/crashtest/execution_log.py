"""ExecutionLog: what the tasks of a crash test write of themselves, outside Redis: who ran when, and how it ended.

One line per event, appended by one write() to a file opened with O_APPEND, so that lines of many processes never mix
and what was written stays, whatever is killed. Times are milliseconds of the monotonic clock, which all processes of
one machine share.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from ferryman.context import Context

#: The first word of a run's first line: in a thread or in a process of its own, or as a coroutine.
_START: Final = "start"
_START_IN_LOOP: Final = "start-in-loop"


def now_ms() -> float:
    """Now, as in the log."""
    return time.monotonic_ns() / 1_000_000


class PlannedFailure(Exception):
    """A task fails because the plan says so: it will be retried, and that is no duplicate."""


class Ending(StrEnum):
    """How one execution ended."""

    END = "end"  # the handler came to its end
    FAILED = "failed"  # it failed as planned
    STOPPED = "stopped"  # it was interrupted from outside, and noticed
    CUT = "cut"  # its process never wrote an end


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of one task. `end_ms` is None when it was cut off.

    `in_loop`: a coroutine, whose last line is its end: nothing can stop it between that and its return.
    """

    id: str
    run: str
    attempt: int
    process: str
    pid: int
    start_ms: float
    end_ms: float | None = None
    ending: Ending = Ending.CUT
    in_loop: bool = False


class ExecutionLog(ABC):
    """The writer; one object per worker process, used by its threads and its forked children too."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._runs = itertools.count()

    @abstractmethod
    def _append(self, line: str) -> None:
        """Returns when the line is safe from whatever happens to this process."""

    @contextmanager
    def execution(self, ctx: Context[None]) -> Iterator[None]:
        """Around what a task does."""
        run = f"{self._process}/{os.getpid()}/{next(self._runs)}"
        self._write(_START_IN_LOOP if _is_in_loop() else _START, ctx, run)
        try:
            yield
        except PlannedFailure:
            self._write(Ending.FAILED, ctx, run)
            raise
        except BaseException:
            self._write(Ending.STOPPED, ctx, run)
            raise
        self._write(Ending.END, ctx, run)

    def _write(self, event: str, ctx: Context[None], run: str) -> None:
        self._append(" ".join(map(str, (event, ctx.task_id, run, ctx.attempt, self._process, os.getpid()))))


class LogFile(ExecutionLog):
    """In a file on this machine, with this machine's clock."""

    def __init__(self, path: Path, process: str) -> None:
        super().__init__(process)
        self._path = path
        self._file = -1

    def _append(self, line: str) -> None:
        if self._file < 0:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.write(self._file, f"{line} {now_ms():.3f}\n".encode())


def parse(lines: Iterable[str]) -> tuple[list[Execution], int]:
    """(executions in the order of their starts, number of lines that make no sense)."""
    runs: dict[str, Execution] = {}
    damaged = 0
    for line in lines:
        try:
            event, task_id, run, attempt, process, pid, at = line.split()
            if event in (_START, _START_IN_LOOP) and run not in runs:
                in_loop = event == _START_IN_LOOP
                runs[run] = Execution(task_id, run, int(attempt), process, int(pid), float(at), in_loop=in_loop)
            elif event in (Ending.END, Ending.FAILED, Ending.STOPPED) and runs[run].end_ms is None:
                runs[run] = replace(runs[run], end_ms=float(at), ending=Ending(event))
            else:
                damaged += 1
        except (ValueError, KeyError):
            damaged += 1
    return sorted(runs.values(), key=lambda execution: execution.start_ms), damaged


def read(path: Path) -> tuple[list[Execution], int]:
    """The same of a file; none = nothing ever ran."""
    if not path.exists():
        return [], 0
    with path.open(encoding="utf-8", errors="replace") as file:
        return parse(file)


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
