"""Gauge: what Redis itself says of a call: how long it ran, and how many commands it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tables.statistics import quantile

from ferryman.call import Call, command
from ferryman.errors import BrokerError
from ferryman.link import SyncLink


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one operation: microseconds in Redis, and the commands that it ran there, its script included."""

    median_us: float
    p99_us: float
    commands: float


@dataclass(slots=True)
class _Samples:
    us: list[float] = field(default_factory=list)
    commands: list[int] = field(default_factory=list)


class Gauge:
    """Runs calls on a link, and keeps what the timed ones of each name have cost."""

    def __init__(self, link: SyncLink) -> None:
        self.link = link
        self._samples: dict[str, _Samples] = {}

    def run(self, call: Call[Any]) -> Any:
        """Its reply; not timed."""
        return self.link.run(call)

    def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Their replies; not timed. Raises the first error among them."""
        replies = self.link.run_all(calls)
        for reply in replies:
            if isinstance(reply, BrokerError):
                raise reply
        return replies

    def timed(self, name: str, call: Call[Any]) -> Any:
        """Its reply; what it cost counts under that name."""
        return self.timed_all(name, [call])[0]

    def timed_all(self, name: str, calls: Sequence[Call[Any]]) -> list[Any]:
        """Replies of some calls that are one operation together, per call."""
        before, *replies, after = self.run_all([_STATS, *calls, _STATS])
        samples = self._samples.setdefault(name, _Samples())
        ours = {(call.script and "evalsha") or str(call.args[0]).lower() for call in calls}
        # Redis' own count of microseconds; of a script those of its commands are in it.
        took_us = sum(after[one][1] - before.get(one, (0, 0))[1] for one in ours)
        commands = sum(calls for calls, _ in after.values()) - sum(calls for calls, _ in before.values()) - 1
        samples.us.append(took_us / len(calls))
        samples.commands.append(commands // len(calls))  # less that INFO itself
        return replies

    def costs(self) -> dict[str, Cost]:
        """Of all that was timed; then it begins anew."""
        found = {
            name: Cost(quantile(sorted(s.us), 0.5), quantile(sorted(s.us), 0.99), quantile(sorted(s.commands), 0.5))
            for name, s in self._samples.items()
        }
        self._samples = {}
        return found


def _stats(info: Any) -> dict[str, tuple[int, int]]:
    """Command -> how often it ran, and microseconds in all."""
    return {name.removeprefix("cmdstat_"): (int(of["calls"]), int(of["usec"])) for name, of in info.items()}


_STATS: Call[dict[str, tuple[int, int]]] = command("INFO", "commandstats", read=_stats)
