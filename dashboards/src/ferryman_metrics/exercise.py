"""Lets each program's metrics count everything once, so that all of them have samples, with every value of a label."""

import os
from collections.abc import Iterable

from ferryman_operator.autoscaler import Decision, Memory, Reason
from ferryman_operator.backlog import Reading
from ferryman_operator.metrics import Metrics as OperatorMetrics
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import World
from ferryman_scheduler.janitor import Janitor
from ferryman_scheduler.metrics import Metrics as SchedulerMetrics
from ferryman_scheduler.promoter import Promoter
from ferryman_scheduler.recoverer import Recoverer
from ferryman_scheduler.timekeeper import Timekeeper
from ferryman_worker.board import Board
from ferryman_worker.counters import Counters
from ferryman_worker.figures import Figures
from ferryman_worker.ledger import Ledger
from ferryman_worker.metrics import Exposition
from ferryman_worker.usage import Processes

from ferryman.api.metrics import METHODS, ApiMetrics
from ferryman.cause import DEATHS, Cause
from ferryman.durability import Durability
from ferryman.inspector import Inspector

QUEUE, NAMESPACE, TASK = "emails", "shop", "send"


def texts() -> dict[str, str]:
    """What /metrics of each component says, by the component's name."""
    return {
        "worker": worker(),
        "scheduler": _scheduler().decode(),
        "operator": _operator().decode(),
        "API": _api().decode(),
    }


def worker(deaths: Iterable[Cause] = DEATHS) -> str:
    """What a worker says that knows one task, and took over from workers that died of these causes."""
    counters, ledger = Counters(QUEUE), Ledger()
    counters.know(TASK)
    for cause in deaths:
        ledger.count(cause, 1, 1)
    pid = os.getpid()
    figures = Figures(counters, Board(), ledger, Processes(beat=pid, pool=pid))
    return Exposition(figures).render(in_progress=0).decode()


def _scheduler() -> bytes:
    metrics = SchedulerMetrics()
    metrics.promoted(QUEUE, 0, 0)
    metrics.handed_back(QUEUE, 0)
    metrics.trimmed(QUEUE, 0, 0)
    metrics.fired(QUEUE, 0)
    for chore in (Promoter, Recoverer, Janitor, Timekeeper):
        metrics.passed(chore.name, 0)
    return metrics.text()


def _operator() -> bytes:
    spec = {"redis": {"url": "redis://r:6379/0"}, "worker": {"image": "acme:1", "app": "acme.tasks"}}
    metadata = {"uid": "u", "namespace": NAMESPACE, "name": QUEUE, "generation": 1}
    tracked = Tracked.of({"metadata": metadata, "spec": spec})
    tracked.reading = Reading(Inspector(QUEUE).stats().read([0] * 16), (), None, 0)
    tracked.durability = Durability(True, "", "", memory_used_bytes=0, memory_max_bytes=0)
    metrics = OperatorMetrics({"u": tracked}, World())
    for reason in Reason:
        tracked.decision = Decision(0, reason, "", Memory())
        metrics.count_decision(tracked)
    metrics.observe_pass(0)
    metrics.finished()
    return metrics.text()


def _api() -> bytes:
    metrics = ApiMetrics()
    for method in (*METHODS, "BREW"):
        metrics.answered(method, "/v1/queues/{queue}/tasks", 201, 0)
    metrics.enqueued(QUEUE, 0)
    return metrics.render()[0]
