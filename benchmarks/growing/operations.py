"""Operations: what is done to a queue in which many tasks wait, are delayed, dead or completed, at each size.

Every operation leaves the size as it was, or puts back what it took.
"""

from __future__ import annotations

import time
from typing import Final

from growing.stage import QUEUE, TOMORROW_MS, WORKER, Stage, some

from ferryman.overview import tasks_in
from ferryman.task import TaskState

BATCH: Final = 100
#: What the scheduler and a purge move in one call.
STEP: Final = 200


def waiting(stage: Stage, size: int, ids: list[str]) -> None:
    """Into the queue and out of it, one by one, by the hundred, and handed over to an idle worker."""
    broker = stage.broker
    for _ in stage.samples:
        stage.timed("enqueue 1", broker.enqueue(stage.new(1)))
        stage.timed("enqueue 100", broker.enqueue(stage.new(BATCH)))
        stage.timed("fetch 1", broker.fetch(WORKER, 1))
        stage.timed("complete 1", broker.complete(WORKER, stage.held()))
        stage.timed("fetch 100", broker.fetch(WORKER, BATCH))
        stage.timed("complete 100", broker.complete(WORKER, stage.held()))
        handed = stage.timed("hand over (BLMOVE)", broker.hand_over(1))
        stage.timed("fetch what was handed over", broker.fetch(WORKER, 1, handed))
        stage.timed("requeue 1", broker.requeue(WORKER, [(one.id, one.token) for one in stage.held()]))
    for id in some(ids, len(stage.samples)):
        stage.timed("cancel one", broker.cancel(id))
    for _ in stage.samples:
        stage.timed("fetch 100, a cancelled one is in line", broker.fetch(WORKER, BATCH))
        stage.run(broker.requeue(WORKER, [(one.id, one.token) for one in stage.held()]))
    _look(stage, TaskState.WAITING, size, ids)
    for _ in stage.samples:
        stage.timed("purge, a step of 200", broker.discard(TaskState.WAITING))
        stage.put(STEP)


def delayed(stage: Stage, size: int, ids: list[str]) -> None:
    """The scheduler's passes, and what people do."""
    broker = stage.broker
    for _ in stage.samples:
        stage.timed("enqueue 1 with a delay", broker.enqueue(stage.new(1, TOMORROW_MS)))
        stage.timed("promote, nothing due", broker.promote(STEP))
        stage.put(STEP, 1)
        time.sleep(0.003)
        stage.timed("promote, 200 due", broker.promote(STEP))
        stage.run(broker.discard(TaskState.WAITING))
        stage.timed("expire, nothing to do", broker.expire(STEP))
    for id in some(ids, len(stage.samples)):
        stage.timed("cancel one", broker.cancel(id))
    _look(stage, TaskState.DELAYED, size, ids)
    for _ in stage.samples:
        stage.timed("purge, a step of 200", broker.discard(TaskState.DELAYED))
        stage.put(STEP, TOMORROW_MS)


def dead(stage: Stage, size: int, ids: list[str]) -> None:
    """The end of a task, and the way back."""
    broker = stage.broker
    for _ in stage.samples:
        stage.put(1)
        stage.run(broker.fetch(WORKER, 1))
        [one] = stage.held()
        stage.timed("dead-letter 1", broker.dead_letter(WORKER, one.id, one.token, error="no"))
        stage.timed("trim, nothing to do", broker.trim(STEP))
        revived = stage.timed("revive, a step of 200", broker.revive(limit=STEP)).ids
        stage.run(broker.fetch(WORKER, len(revived)))
        stage.gauge.run_all([broker.dead_letter(WORKER, one.id, one.token, error="no") for one in stage.held()])
    _look(stage, TaskState.DEAD, size, ids)


def completed(stage: Stage, size: int, ids: list[str]) -> None:
    """Kept statuses: one more, and a look. That many are kept only where retention asks for it."""
    broker = stage.broker
    for _ in stage.samples:
        stage.put(BATCH)
        stage.run(broker.fetch(WORKER, BATCH))
        stage.timed("complete 100", broker.complete(WORKER, stage.held()))
        stage.timed("forget, a step of 200", broker.discard(TaskState.COMPLETED, limit=STEP))
        stage.put(BATCH)
        stage.work_off(BATCH)
    _look(stage, TaskState.COMPLETED, size, ids)


def _look(stage: Stage, state: TaskState, size: int, ids: list[str]) -> None:
    for id in some(ids, len(stage.samples)):
        stage.timed("show one", stage.inspector.get(id))
        stage.timed("stats", stage.inspector.stats())
        stage.timed_steps("page, the first 100", tasks_in(QUEUE, state, BATCH))
        stage.timed_steps("page, 100 from the middle", tasks_in(QUEUE, state, BATCH, size // 2))
