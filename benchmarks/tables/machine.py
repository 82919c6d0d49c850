"""The machine: what it is, how busy it is, and how fast it is just now."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Final

from tables.results import Machine

from ferryman.call import command
from ferryman.link import SyncLink

#: A load above this is not quiet: the figures then say more of the neighbours.
QUIET_LOAD: Final = 0.5


def machine(server: str) -> Machine:
    """This one; `server` is the Redis-like server and its version."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(memory_gib, 1),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        python=platform.python_version(),
        server=server,
        load_before=os.getloadavg()[0],
    )


def server_version(link: SyncLink) -> str:
    """Which Redis-like server that is."""
    said = link.run(command("INFO", "server", read=dict))
    return f"Valkey {said['valkey_version']}" if "valkey_version" in said else f"Redis {said['redis_version']}"


def calibrate_ms() -> float:
    """Milliseconds that two million additions take right now: rates are only comparable where this is alike."""
    start_s = time.perf_counter()
    total = 0
    for number in range(2_000_000):
        total += number & 7
    return (time.perf_counter() - start_s) * 1e3


def wait_until_idle(within_s: float = 20.0) -> None:
    """Waits for a moment in which the processors have little to do, or until time is up."""
    deadline = time.monotonic() + within_s
    while _busy_share() > 0.1 and time.monotonic() < deadline:
        pass


def _busy_share() -> float:
    before = _ticks()
    time.sleep(0.3)
    after = _ticks()
    total = sum(after) - sum(before)
    idle = after[3] + after[4] - before[3] - before[4]
    return 1 - idle / total if total else 0.0


def _ticks() -> list[int]:
    return [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
