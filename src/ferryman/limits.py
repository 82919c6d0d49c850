"""Limits: how many tasks of a queue may start in a time, and what each of its lanes may do.

They are said in the TaskQueue, or here for those without Kubernetes; what the code says counts before the TaskQueue,
limit by limit. Both end up in the queue's `config`, where the scripts read them: parts/lane.lua.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from ferryman.durations import parse_duration
from ferryman.errors import InvalidTask

#: A rate keeps the moments of so many starts, per lane.
MOST_STARTS: Final = 10_000
MOST_PERIOD_MS: Final = 86_400_000
MOST_CONCURRENCY: Final = 100_000

_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d+(?:\.\d+)?)?\s*(ms|s|m|h|d)\s*")


class Rate(msgspec.Struct, frozen=True):
    """At most `count` starts within any `period_ms`: a sliding window."""

    count: int
    period_ms: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read "10/s", "100/m" or "5/30s". Raises ValueError."""
        found = _RATE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError(f"{text!r} is no rate; write it like '10/s', '100/m' or '5/30s'")
        period_ms = round(parse_duration((found[2] or "1") + found[3]) * 1_000)
        count = int(found[1])
        if not 1 <= count <= MOST_STARTS:
            hint = "; say it per shorter period" if count else "; to stop a queue, hold it"
            raise ValueError(f"{text!r}: {count} is not from 1 to {MOST_STARTS}{hint}")
        if not 1 <= period_ms <= MOST_PERIOD_MS:
            raise ValueError(f"{text!r}: the period is not from 1 ms to 1 day")
        return cls(count, period_ms)


class Limits(msgspec.Struct, frozen=True):
    """Limits of a queue, for `Queue(limits=…)`; None leaves one to the TaskQueue, and without it there is none.

    `rate`: starts of all its tasks, such as "100/s". `lane_concurrency`: tasks of one lane that run at once.
    `lane_rate`: starts of one lane. Raises InvalidTask naming the limit that can't be.
    """

    rate: str | None = None
    lane_concurrency: int | None = None
    lane_rate: str | None = None

    def __post_init__(self) -> None:
        for name in ("rate", "lane_rate"):
            if (text := getattr(self, name)) is not None:
                try:
                    Rate.parse(text)
                except ValueError as error:
                    raise InvalidTask(f"limits.{name}", str(error)) from None
        most = self.lane_concurrency
        if most is not None and (
            isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST_CONCURRENCY
        ):
            raise InvalidTask("limits.lane_concurrency", f"{most!r} is not a whole number from 1 to {MOST_CONCURRENCY}")

    def policy_fields(self) -> dict[str, int]:
        """The limits that are said, as fields of ferryman.policy.Policy."""
        fields: dict[str, int] = {}
        for name in ("rate", "lane_rate"):
            if (text := getattr(self, name)) is not None:
                rate = Rate.parse(text)
                fields |= {f"{name}_count": rate.count, f"{name}_ms": rate.period_ms}
        if self.lane_concurrency is not None:
            fields["lane_concurrency"] = self.lane_concurrency
        return fields

    def encode(self) -> str:
        """For the script that registers a worker: field, value, ... in one text."""
        return " ".join(f"code_{name} {value}" for name, value in self.policy_fields().items())


#: Says nothing.
NO_LIMITS: Final = Limits()
