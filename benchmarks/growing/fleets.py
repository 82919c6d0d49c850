"""Operations where there are many workers, and where there are many queues."""

from __future__ import annotations

import time
from typing import Any, Final

from growing.stage import QUEUE, WORKER, Stage

from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.inspector import Inspector, queues_counted, queues_known
from ferryman.manifest import Manifest
from ferryman.overview import tasks_in
from ferryman.task import TaskState
from ferryman.workers import WorkerRegistry

#: What each of ten workers that die at once holds.
HELD: Final = 10


def workers(stage: Stage, size: int, names: list[str]) -> None:
    """A worker's life, and those who look after all of them."""
    registry, broker = stage.registry, stage.broker
    for n in stage.samples:
        joins = f"joins-{n}"
        stage.timed("register", registry.register(stage.info(joins), Manifest("app", {})))
        stage.timed("beat", registry.beat(joins, 36_000_000))
        stage.put(HELD + 1)
        stage.timed("fetch 1", broker.fetch(WORKER, 1))
        stage.timed("complete 1", broker.complete(WORKER, stage.held()))
        stage.timed("look for the silent, none is", registry.look())
        stage.run(broker.fetch(joins, HELD))
        stage.timed_steps("page of active, a step", tasks_in(QUEUE, TaskState.ACTIVE, 100))
        stage.timed("stats", stage.inspector.stats())
        stage.timed("stats, exact", stage.inspector.stats(exact=True))
        stage.timed("list, the first 1,000", registry.list())
        stage.timed("vouch for 100", registry.vouch(names[:100], 60_000))
        stage.run(registry.declare_dead(joins, "Error"))
        stage.timed("recover: one that is dead, with 10 tasks", broker.recover(joins, 200))
        stage.run(broker.discard(TaskState.WAITING))
    # All silent at once: after a frozen Redis, say. Then they beat again.
    stage.say("ZUNIONSTORE", stage.keys.workers, 1, stage.keys.workers, "WEIGHTS", 0.5)
    for n in stage.samples:
        stage.timed("look for the silent, all are", registry.look())
        stage.timed("recover: a look at one of the silent", broker.recover(names[n % len(names)], 200))
    stage.say("ZUNIONSTORE", stage.keys.workers, 1, stage.keys.workers, "WEIGHTS", 2)
    stage.say("DEL", stage.keys.suspected)


def queues(stage: Stage, _: int, names: list[str]) -> None:
    """The rounds of a scheduler and an operator over all queues: per queue. Each has a task that waits."""
    rounds: dict[str, list[Call[Any]]] = {
        "promote": [Broker(name).promote(10) for name in names],
        "trim": [Broker(name).trim(10) for name in names],
        "expire": [Broker(name).expire(10) for name in names],
        "look for the silent": [WorkerRegistry(name).look() for name in names],
        "look at what was handed over": [Broker(name).recover_handed(10) for name in names],
        "stats": [Inspector(name).stats() for name in names],
    }
    for n in stage.samples:
        name = names[n % len(names)]
        stage.timed("enqueue 1", Broker(name).enqueue(stage.new(1)))
        stage.timed("announce", Broker(name).announce())
        stage.timed("how many queues there are", queues_counted())
        stage.timed("names of all queues (for the roster)", queues_known())
    for _ in range(min(20, len(stage.samples))):
        for word, calls in rounds.items():
            stage.gauge.timed_all(f"{word}, per queue", calls)


def grow_workers(stage: Stage, names: list[str], size: int) -> None:
    """Up to `size`."""
    fresh = [f"worker-{n}" for n in range(len(names), size)]
    stage.register(*fresh)
    names += fresh


def grow_queues(stage: Stage, names: list[str], size: int) -> None:
    """Up to `size`, with a worker and a task each."""
    for n in range(len(names), size):
        name = f"queue-{n}"
        stage.gauge.run_all(
            [
                WorkerRegistry(name).register(stage.info(WORKER), Manifest("app", {})),
                Broker(name).enqueue(stage.new(1)),
                Broker(name).announce(),
            ]
        )
        names.append(name)
    time.sleep(0.01)
