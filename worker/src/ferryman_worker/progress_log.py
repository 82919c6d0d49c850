"""Progress log: what handlers last said of how far they have come, until it is sent.

Telling is an assignment to a dictionary, from whatever thread; a later word replaces an earlier one. They go out with
the worker's other calls, once a second or when their task leaves.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

import msgspec

from ferryman.protocol import Step

EVERY_S: Final = 1.0
_NOTE_CHARS: Final = 200
_encode: Final = msgspec.json.Encoder().encode


class ProgressLog:
    """The latest unsent word of each run."""

    def __init__(self) -> None:
        self._unsent: dict[str, tuple[int, float, float | None, str] | Step] = {}
        self._sent_s = 0.0

    def __bool__(self) -> bool:
        return bool(self._unsent)

    def tell(self, task_id: str, token: int, done: float, total: float | None, note: str) -> None:
        """What a handler says."""
        self._unsent[task_id] = (token, done, total, note)

    @property
    def due(self) -> bool:
        """Something is to be sent."""
        return bool(self._unsent) and time.monotonic() - self._sent_s >= EVERY_S

    def take(self, leaving: Iterable[str]) -> list[Step]:
        """What is to be sent now: all of it when it is due, or that of the tasks which leave."""
        if self.due:
            self._sent_s = time.monotonic()
            chosen = list(self._unsent)
        else:
            chosen = [task_id for task_id in leaving if task_id in self._unsent]
        return [_step(task_id, self._unsent.pop(task_id)) for task_id in chosen]

    def put_back(self, steps: Iterable[Step]) -> None:
        """It could not be sent. What was said since counts."""
        for step in steps:
            self._unsent.setdefault(step.id, step)

    def clear(self) -> None:
        """Forget it all."""
        self._unsent.clear()


def _step(task_id: str, said: tuple[int, float, float | None, str] | Step) -> Step:
    if isinstance(said, Step):
        return said
    token, done, total, note = said
    return Step(task_id, token, _encode({"done": done, "total": total, "note": str(note)[:_NOTE_CHARS]}))
