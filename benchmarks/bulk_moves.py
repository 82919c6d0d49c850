"""Bulk moves over a million tasks, with the programs that people use: every one goes in steps of less than 5 ms.

Purge of a million waiting and of a million delayed tasks (`ferryman purge`), reading beside them (`ferryman stats`,
`ferryman tasks`), revival of a million dead ones (`ferryman revive --all`), the retention's trim of a million dead ones
(the scheduler), and recovery of 10,000 tasks of 200 dead workers (two schedulers and `ferryman recover` at once). Redis
itself tells how long its commands took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from promotion_storm import BROKER, TOO_SLOW_MS, fill, processes, say, server, slow_commands, watch_commands

from ferryman.call import command
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.manifest import Manifest
from ferryman.policy import QueuePolicy
from ferryman.workers import WorkerInfo, WorkerRegistry

SCHEDULER = ("-m", "ferryman", "scheduler", "--queue", "bench")
WORKERS, EACH = 200, 50

Scene = Callable[[Link, str, int], Awaitable[int]]


def ferryman(url: str, *words: str) -> None:
    """Runs a command to its end. Raises CalledProcessError."""
    program = [sys.executable, "-m", "ferryman", *words]
    subprocess.run(program, env=os.environ | {"FERRYMAN_REDIS_URL": url}, stdout=subprocess.DEVNULL, check=True)


async def stats_of(link: Link) -> QueueStats:
    """All figures. Raises SystemExit when they do not add up."""
    stats = await link.run(Inspector("bench").stats())
    if stats.unaccounted:
        raise SystemExit(f"{stats.unaccounted} unaccounted: the figures are void")
    return stats


async def until(link: Link, holds: Callable[[QueueStats], bool]) -> QueueStats:
    """Asks until it holds. Raises SystemExit after 180 s."""
    deadline = time.perf_counter() + 180
    while not holds(stats := await stats_of(link)):
        if time.perf_counter() > deadline:
            raise SystemExit(f"still not after 180 s: {stats}")
        await asyncio.sleep(0.02)
    return stats


def tomorrow_ms() -> int:
    """Not yet."""
    return int(time.time() * 1000) + 86_400_000


async def bury(link: Link, tasks: int) -> None:
    """Dead tasks, past all scripts: a million deaths would take too long."""
    await fill(link, tasks, tomorrow_ms())
    await link.run(say("ZUNIONSTORE", BROKER.keys.dead, 1, BROKER.keys.delayed, "WEIGHTS", 0.5))
    await link.run(say("DEL", BROKER.keys.delayed))
    # The server frees that set in the background, and is slower meanwhile.
    for _ in range(200):
        if not await link.run(command("INFO", "memory", read=lambda info: int(info["lazyfree_pending_objects"]))):
            break
        await asyncio.sleep(0.05)


async def purge_waiting(link: Link, url: str, tasks: int) -> int:
    """Waiting -> gone, after some reading."""
    await fill(link, tasks)
    await watch_commands(link)
    ferryman(url, "stats", "bench")
    ferryman(url, "tasks", "bench", "--state", "waiting", "--offset", "10000")
    ferryman(url, "purge", "bench", "--state", "waiting", "--yes")
    return (await stats_of(link)).discarded


async def purge_delayed(link: Link, url: str, tasks: int) -> int:
    """Delayed -> gone."""
    await fill(link, tasks, tomorrow_ms())
    await watch_commands(link)
    ferryman(url, "stats", "bench")
    ferryman(url, "purge", "bench", "--state", "delayed", "--yes")
    return (await stats_of(link)).discarded


async def revive_dead(link: Link, url: str, tasks: int) -> int:
    """Dead -> waiting."""
    await bury(link, tasks)
    await watch_commands(link)
    ferryman(url, "revive", "bench", "--all")
    return (await stats_of(link)).waiting


async def trim_dead(link: Link, url: str, tasks: int) -> int:
    """Dead -> gone, by retention."""
    await bury(link, tasks)
    await watch_commands(link)
    with processes(url, SCHEDULER):
        return (await until(link, lambda stats: not stats.dead)).discarded


async def recovery_storm(link: Link, url: str, _: int) -> int:
    """Active -> waiting, of workers that fell silent a moment ago."""
    registry = WorkerRegistry("bench")
    await fill(link, WORKERS * EACH)
    for n in range(WORKERS):
        info = WorkerInfo(f"w{n}", "", f"pod-{n}", 15_000, 1_000, EACH, "app", "1")
        await link.run_all([registry.register(info, Manifest("app", {})), BROKER.fetch(info.id, EACH)])
        now_ms = (await stats_of(link)).now_ms
        await link.run(say("ZADD", BROKER.keys.workers, now_ms, info.id))
    await watch_commands(link)
    with processes(url, SCHEDULER, SCHEDULER, ("-m", "ferryman", "recover", "bench")):
        return (await until(link, lambda stats: not stats.active)).recovered


SCENES: dict[str, Scene] = {
    scene.__name__: scene for scene in (purge_waiting, purge_delayed, revive_dead, trim_dead, recovery_storm)
}


async def play(name: str, url: str, tasks: int) -> dict[str, Any]:
    """One scene on an empty server."""
    link = Link.from_url(url, reply_timeout_s=60)
    try:
        await link.run_all([BROKER.announce(), QueuePolicy("bench").write({"dead_ms": 1}, 1)])
        moved = await SCENES[name](link, url, tasks)
        slow = await slow_commands(link)
    finally:
        await link.close()
    over = sum(ms > TOO_SLOW_MS for ms, _ in slow)
    return {"scene": name, "moved": moved, "over_5_ms": over, "slowest": slow[0] if slow else None}


def main() -> None:
    """Run it and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--scene", choices=SCENES, action="append", help="may be given several times; default: all")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    results = []
    for name in options.scene or SCENES:
        with server() as url:
            results.append(asyncio.run(play(name, url, options.tasks)))
        if not options.json:
            print(results[-1], flush=True)
    if options.json:
        print(json.dumps({"tasks": options.tasks, "scenes": results}))


if __name__ == "__main__":
    main()
