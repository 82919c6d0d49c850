"""Batches: how many new tasks go in one script call.

One call stays within milliseconds of Redis' time, and one request within a few megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from ferryman.new_task import NewTask

#: At most so many tasks, and about so many bytes of arguments, in one script call.
BATCH_TASKS: Final = 125
BATCH_BYTES: Final = 4 << 20

T = TypeVar("T")


def batches(items: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """The items in their order, in parts that one script call can take; `size_of` tells an item's bytes.

    `items` is consumed as the parts go, so it may be a generator of millions.
    """
    batch: list[T] = []
    size = 0
    for item in items:
        size_of_item = size_of(item)
        if batch and (len(batch) == BATCH_TASKS or size + size_of_item > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += size_of_item
    if batch:
        yield batch


def args_bytes(task: NewTask) -> int:
    """What a new task weighs in a request."""
    return len(task.args)
