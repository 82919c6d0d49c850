"""Sending: tasks that are ready to be enqueued, and what the queue's middlewares put around that."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ferryman.middleware import Around, Outgoing, entered
from ferryman.options import TaskOptions
from ferryman.task import NewTask


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A task that is ready to be enqueued, and where: what `send.task(...)` returns.

    `own_id` tells that the id was made here, so that a task which exists already under it is this one.
    """

    queue: str
    task: NewTask
    own_id: bool

    @property
    def id(self) -> str:
        """The id that the task will have."""
        return self.task.id


@contextmanager
def sending(around: Sequence[Around[Sequence[Outgoing]]], items: Sequence[WorkItem]) -> Generator[list[WorkItem]]:
    """Enters the hooks; yields the items with the headers that they have set.

    Raises what a hook raises, or InvalidTask for headers that can't travel; nothing is to be sent then.
    """
    options = [TaskOptions.decode(item.task.options) for item in items]
    outgoing = [
        Outgoing(item.queue, item.task.name, item.id, dict(own.headers or {}))
        for item, own in zip(items, options, strict=True)
    ]
    with entered(around, outgoing):
        yield [_with_headers(item, own, out.headers) for item, own, out in zip(items, options, outgoing, strict=True)]


def _with_headers(item: WorkItem, options: TaskOptions, headers: dict[str, str]) -> WorkItem:
    if headers == (options.headers or {}):
        return item
    return replace(item, task=replace(item.task, options=options.with_headers(headers).encode()))
