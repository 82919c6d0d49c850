"""Lane figures: what the busiest lanes of a queue hold, and what holds them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ferryman.call import Call
from ferryman.keys import Keys
from ferryman.lanes import LINE
from ferryman.task import check_queue_name


@dataclass(frozen=True, slots=True)
class LaneRow:
    """One lane. `running` is None where it has no concurrency: then nobody counts; a limit that is not there is 0."""

    lane: str
    blocked: int
    waiting: int
    running: int | None
    starts: int  # within the rate's period
    concurrency: int
    rate_count: int
    rate_ms: int
    next_in_ms: int | None  # until its rate lets the next one in; None = it does now, or has nothing to wait for

    @property
    def waits_for(self) -> str:
        """What its blocked tasks wait for, in words; empty when none is blocked."""
        if not self.blocked:
            return ""
        if self.next_in_ms is not None:
            whose = "the rate of the queue" if self.lane == LINE else "its rate"
            return f"{whose}, {self.rate_count} per {self.rate_ms / 1_000:g} s: next in {self.next_in_ms / 1_000:.1f} s"
        if self.concurrency and self.waiting + (self.running or 0) >= self.concurrency:
            return f"a place: {self.concurrency} at once"
        return "its turn"

    def to_json_dict(self) -> dict[str, Any]:
        """A stable contract: fields are added, never renamed."""
        return {
            "lane": None if self.lane == LINE else self.lane,
            "blocked": self.blocked,
            "waiting": self.waiting,
            "running": self.running,
            "concurrency": self.concurrency or None,
            "rate": {"count": self.rate_count, "period_s": self.rate_ms / 1_000} if self.rate_count else None,
            "starts": self.starts if self.rate_count else None,
            "next_in_s": None if self.next_in_ms is None else self.next_in_ms / 1_000,
            "waits_for": self.waits_for or None,
        }


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """`lanes` have tasks in them or running; in `held_back` of them tasks stand that a limit keeps there."""

    lanes: int
    held_back: int
    busiest: Sequence[LaneRow]


def lane_name(row: LaneRow) -> str:
    """For a person."""
    return "* (all tasks)" if row.lane == LINE else row.lane


def running(row: LaneRow) -> str:
    """How many run, of how many; `-` where nobody counts."""
    return "-" if row.running is None else f"{row.running}/{row.concurrency}"


def starts(row: LaneRow) -> str:
    """How many began in the rate's period, of how many; `-` without a rate."""
    return f"{row.starts}/{row.rate_count}" if row.rate_count else "-"


def read_lanes(queue: str, limit: int = 20) -> Call[LaneFigures]:
    """The lanes in which most tasks stand. Raises InvalidTask when `queue` is no queue name."""
    keys = Keys(check_queue_name(queue))
    return Call("read_lanes", (keys.lanes, keys.root), (limit,), _figures)


def _figures(reply: Any) -> LaneFigures:
    now, lanes, held_back = map(int, reply[:3])
    return LaneFigures(lanes, max(0, held_back), [_row(now, words) for words in reply[3:]])


def _row(now_ms: int, words: Any) -> LaneRow:
    blocked, waiting, running, starts, concurrency, rate_count, rate_ms, wake = map(int, words[1:])
    return LaneRow(
        lane=words[0].decode("utf-8", "replace"),
        blocked=blocked,
        waiting=waiting,
        running=None if running < 0 else running,
        starts=starts,
        concurrency=concurrency,
        rate_count=rate_count,
        rate_ms=rate_ms,
        next_in_ms=None if wake < 0 else max(0, wake - now_ms),
    )
