"""Ways: how a feature's tasks get into the queue and are run, where that is not just an enqueue and nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from ferryman_worker.slot import Slot
from ferryman_worker.surround import run_coroutine

from ferryman.broker import Broker
from ferryman.call import command
from ferryman.context import Context
from ferryman.due import due
from ferryman.link import SyncLink
from ferryman.middleware import Middleware, Outgoing
from ferryman.new_task import NewTask
from ferryman.schedule import Schedule
from ferryman.sending import WorkItem, sending
from ferryman.timetable import Timetable

_MINUTE_MS: Final = 60_000


def enqueue(link: SyncLink, queue: str, tasks: Sequence[NewTask]) -> None:
    """In one call."""
    link.run(Broker(queue).enqueue(tasks))


def nothing(link: SyncLink, queue: str, tasks: int) -> None:
    """Is to be done before the first of so many tasks."""


@dataclass(frozen=True, slots=True)
class Way:
    """`send` puts a batch into the queue, `run` is what one run of a task adds, if anything."""

    prepare: Callable[[SyncLink, str, int], None] = nothing
    send: Callable[[SyncLink, str, Sequence[NewTask]], None] = enqueue
    run: Callable[[], None] | None = None


PLAIN: Final = Way()


class Through(Middleware):
    """Both hooks, as most are written, and nothing in them."""

    @contextmanager
    def around_run(self, ctx: Context[Any]) -> Generator[None]:
        """See Middleware."""
        yield

    @contextmanager
    def around_enqueue(self, tasks: Sequence[Outgoing]) -> Generator[None]:
        """See Middleware."""
        yield


_THROUGH: Final = Through()
_RUN: Final = Context(
    None, task_id="t", queue="q", task="noop", attempt=1, max_attempts=1, enqueued_ms=0, deliveries=1
)  # fmt: skip


def _send_wrapped(link: SyncLink, queue: str, tasks: Sequence[NewTask]) -> None:
    """As the producer does it: the hook is called once for a batch."""
    with sending((_THROUGH.around_enqueue,), [WorkItem(queue, task, True) for task in tasks]) as items:
        enqueue(link, queue, [item.task for item in items])


async def _handler() -> None:
    """Nothing."""


def _run_wrapped() -> None:
    """As a slot does it with a coroutine that never waits, so no slot is asked."""
    try:
        run_coroutine((_THROUGH.around_run,), _RUN, _handler, cast(Slot, None)).send(None)
    except StopIteration:
        return
    raise RuntimeError("the handler waits")


MIDDLEWARE: Final = Way(send=_send_wrapped, run=_run_wrapped)


def _publish(link: SyncLink, queue: str, tasks: int) -> None:
    """A hundred schedules, settled so long ago that enough occurrences have come since."""
    table = Timetable(queue)
    schedules = [Schedule(f"s{number}", "noop", cron="* * * * *", args={"value": 1}) for number in range(100)]
    link.run(table.publish(schedules))
    settled_ms = (int(time.time() * 1_000) // _MINUTE_MS - tasks // len(schedules) - 1) * _MINUTE_MS
    for schedule in schedules:
        record = f"{schedule.key}|{settled_ms}|0|"
        link.run(command("HSET", table.keys.fired, schedule.name, record, read=int))


def _fire(link: SyncLink, queue: str, tasks: Sequence[NewTask]) -> None:
    """As a scheduler's pass does it, when a hundred schedules are due at one minute: the tasks are theirs."""
    table = Timetable(queue)
    calls = []
    for entry in link.run(table.agree()).entries:
        assert entry.settled_ms is not None
        [at_ms] = due(entry.schedule, entry.settled_ms, entry.settled_ms + _MINUTE_MS).fire
        calls.append(table.fire(entry.schedule, entry.settled_ms, at_ms))
    if any(reply.outcome != "fired" for reply in link.run_all(calls)):
        raise RuntimeError("an occurrence was not fired")


CRON: Final = Way(prepare=_publish, send=_fire)
