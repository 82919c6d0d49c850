"""Sending: tasks that are ready to be enqueued, and what the queue's middlewares put around that."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from ferryman.middleware import Around, Outgoing, entered
from ferryman.new_task import NewTask
from ferryman.options import TaskOptions
from ferryman.references import NO_REFERENCES, References

if TYPE_CHECKING:
    from ferryman.producer import Producer


class WorkItem(msgspec.Struct, frozen=True, gc=False):
    """A task that is ready to be enqueued, and where: what `send.task(...)` returns.

    `own_id` tells that the id was made here, so that a task which exists already under it is this one. `binds` are
    parameters that take the results of other tasks, which only a node of a workflow can have.
    """

    queue: str
    task: NewTask
    own_id: bool
    producer: Producer | None = None
    binds: References = NO_REFERENCES

    @property
    def id(self) -> str:
        """The id that the task will have."""
        return self.task.id

    def with_binds(self, binds: References) -> WorkItem:
        """The same with these."""
        return self if binds == self.binds else replace(self, binds=binds)


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
