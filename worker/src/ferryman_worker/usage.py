"""Usage: processor time and memory of the worker's processes, read from /proc at a scrape.

The `process_…` figures that every Prometheus client has speak of one process, the worker's main one. Tasks with
`run_in="process"` run in others, and in them is what they use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

_PROC: Final = Path("/proc")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

#: Fields of /proc/<pid>/stat, counted from behind the program's name.
_UTIME, _CHILDREN_STIME, _RESIDENT_PAGES = 11, 14, 21


class Usage(msgspec.Struct, frozen=True):
    """`cpu_s` counts the processes that have ended, too; `resident_bytes` counts shared pages once per process."""

    cpu_s: float
    resident_bytes: int


class Processes:
    """The worker's processes by the name of what they do; `pool` goes by whoever forks its children, too."""

    def __init__(self, *, beat: int, pool: int | None) -> None:
        self._pids = {"main": os.getpid(), "beat": beat} | ({} if pool is None else {"pool": pool})
        self._cpu_s: dict[str, float] = {}

    def usage(self) -> dict[str, Usage]:
        """What each uses. A process that can't be read is missing."""
        found = {name: usage_of(pid, with_children=name == "pool") for name, pid in self._pids.items()}
        return {name: self._growing(name, used) for name, used in found.items() if used is not None}

    def _growing(self, name: str, used: Usage) -> Usage:
        """A child that ends while all are read is seen in neither of two places; a counter must not fall for that."""
        self._cpu_s[name] = max(self._cpu_s.get(name, 0.0), used.cpu_s)
        return Usage(self._cpu_s[name], used.resident_bytes)


def usage_of(pid: int, *, with_children: bool = False) -> Usage | None:
    """What the process uses, with all that descends from it if asked; None when it is gone, or there is no /proc."""
    own = _read(pid)
    if own is None or not with_children:
        return own
    all_of_them = [own, *(used for child in _children(pid) if (used := usage_of(child, with_children=True)))]
    return Usage(sum(one.cpu_s for one in all_of_them), sum(one.resident_bytes for one in all_of_them))


def _read(pid: int) -> Usage | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name stands in brackets and may hold anything, brackets too.
    fields = stat[stat.rindex(b")") + 2 :].split()
    ticks = sum(map(int, fields[_UTIME : _CHILDREN_STIME + 1]))
    return Usage(ticks / _TICKS_PER_S, int(fields[_RESIDENT_PAGES]) * _PAGE_BYTES)


def _children(pid: int) -> Iterator[int]:
    for children in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            yield from map(int, children.read_bytes().split())
        except OSError:
            continue  # the thread has ended since
