"""Story: which changes of a TaskQueue are worth an event, and in which words. Pure.

Workers go one by one as they finish; that is one scale-down to a reader, and one event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ferryman_operator.conditions import condition_of

NORMAL: Final = "Normal"
WARNING: Final = "Warning"

#: Events of the number of workers lie this far apart at least.
APART_S: Final = 5.0
#: Workers that go are told when all have gone that should, or none went for this long, or it takes this long.
STANDS_S: Final = 10.0
LONGEST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """One event: Normal or Warning, the reason in a word, and a sentence."""

    kind: str
    reason: str
    message: str


@dataclass(slots=True)
class Scalings:
    """The number of workers of one TaskQueue: as it is, and as it was last told."""

    replicas: int
    told: int
    told_s: float = float("-inf")
    begun_s: float = 0.0
    moved_s: float = 0.0

    def look(self, replicas: int, wanted: int, now_s: float) -> tuple[int, int] | None:
        """The change to tell now, as (before, after), or None."""
        if replicas != self.replicas:
            if self.replicas == self.told:
                self.begun_s = now_s
            self.replicas, self.moved_s = replicas, now_s
        if replicas == self.told or now_s - self.told_s < APART_S:
            return None
        on_its_way = replicas < self.told and replicas > wanted
        if on_its_way and now_s - self.moved_s < STANDS_S and now_s - self.begun_s < LONGEST_S:
            return None
        change = (self.told, replicas)
        self.told, self.told_s = replicas, now_s
        return change


def scaled(before: int, after: int, why: str) -> Told:
    """The event of a change of the number of workers."""
    return Told(NORMAL, "ScaledUp" if after > before else "ScaledDown", f"{before} -> {after}: {why}")


def transitions(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Told]:
    """What has changed from one status to the next: trouble, the end of trouble, and pauses."""
    ready_was, ready = condition_of(old, "Ready"), condition_of(new, "Ready")
    if ready_was or ready.get("reason") != "SchedulerNotReady":  # or it has just been made
        yield from _trouble("Ready", ready_was, ready)
    was, now = condition_of(old, "RedisDurable"), condition_of(new, "RedisDurable")
    # Where Ready says the same of this trouble, in the same words, it tells of its beginning and of its end.
    trouble, said = (now, ready) if now.get("status") == "False" else (was, ready_was)
    if trouble.get("message") != said.get("message"):
        yield from _trouble("RedisDurable", was, now)
    yield from _trouble("ProtocolAgreed", condition_of(old, "ProtocolAgreed"), condition_of(new, "ProtocolAgreed"))
    yield from _paused(condition_of(old, "Paused"), condition_of(new, "Paused"))


def _trouble(name: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Told]:
    """A condition that should be True."""
    if now.get("status") == "False" and (was.get("status"), was.get("reason")) != ("False", now["reason"]):
        yield Told(WARNING, now["reason"], now["message"])
    elif (now.get("status"), was.get("status")) == ("True", "False"):
        yield Told(NORMAL, name, f"no longer {was['reason']}: {now['message']}")


def _paused(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Told]:
    if now.get("status") == "True" and (was.get("status"), was.get("reason")) != ("True", now["reason"]):
        yield Told(NORMAL, "Paused", now["message"])
    elif (now.get("status"), was.get("status")) == ("False", "True"):
        yield Told(NORMAL, "Resumed", f"no longer {was['reason']}: {now['message']}")
