"""Bursts: those enqueues of a crash test that have a unique key, several with the same one at a time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ferryman.crashtest.app import IN_LOOP
from ferryman.crashtest.plan import PlannedTask
from ferryman.options import EnqueueKwargs

#: Enqueues of one burst: the first two in one batch, the third a moment later.
BURST: Final = 3

#: One burst for so many tasks, within these bounds.
_ONE_FOR: Final = 50
_FEWEST: Final = 4
_MOST: Final = 1_000
_KEYS_OF_A_WAY: Final = 2

#: How long they hold others back at least (ms), where that is not until the task has ended.
_WINDOW_MS: Final = 400
_LONGEST_MS: Final = 1_000.0


class Way(StrEnum):
    """How long a key keeps others out."""

    UNTIL_DONE = "until_done"
    WHILE_WAITING = "while_waiting"
    THROTTLE = "throttle"
    DEBOUNCE = "debounce"


@dataclass(frozen=True, slots=True)
class PlannedBurst:
    """Enqueues of the tasks `ids`, each of which takes `ms`, with the same unique key."""

    key: str
    way: Way
    ids: tuple[str, ...]
    ms: float

    @property
    def tasks(self) -> list[PlannedTask]:
        """As any other task."""
        return [PlannedTask(one, IN_LOOP, self.ms, fails=0, delay_ms=0, priority=0) for one in self.ids]

    def options(self, task_id: str) -> EnqueueKwargs:
        """What is said at an enqueue. One that holds others back while it waits has a delay, so it does wait."""
        window_s = _WINDOW_MS / 1_000
        ways: dict[Way, EnqueueKwargs] = {
            Way.UNTIL_DONE: {"unique": self.key},
            Way.WHILE_WAITING: {"unique": self.key, "unique_for": "while_waiting", "delay": window_s},
            Way.THROTTLE: {"unique": self.key, "throttle": window_s},
            Way.DEBOUNCE: {"unique": self.key, "debounce": window_s},
        }
        return {"id": task_id, **ways[self.way]}

    @property
    def window_ms(self) -> int | None:
        """How long the key is held at least, from the enqueue on; None = until the task has ended."""
        return None if self.way is Way.UNTIL_DONE else _WINDOW_MS


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one enqueue with a unique key. It was sent first at `sent_ms`, and answered at `answered_ms`.

    `created`: there is a task of this id; False when another one had the key.
    """

    id: str
    key: str
    window_ms: int | None
    sent_ms: float
    answered_ms: float
    created: bool


def plan_bursts(tasks: int, task_ms: float) -> list[PlannedBurst]:
    """So many as go with `tasks` other tasks; each way and each of its keys has its turn."""
    count = max(_FEWEST, min(tasks // _ONE_FOR, _MOST))
    ways = list(Way)
    return [
        PlannedBurst(
            key=f"{ways[number % len(ways)]}-{number // len(ways) % _KEYS_OF_A_WAY}",
            way=ways[number % len(ways)],
            ids=tuple(f"u{number:05d}-{place}" for place in range(BURST)),
            ms=min(task_ms, _LONGEST_MS),
        )
        for number in range(count)
    ]
