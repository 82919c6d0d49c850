"""Replay: one load through one scaler, and what came of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from scaling_simulator.fleet import START_S, Fleet, Task

#: Scalers look at the fleet this often, or less.
STEP_S: Final = 0.25


class Scaler(Protocol):
    """Who decides on the number of pods."""

    def turn(self, fleet: Fleet) -> None:
        """Look at the fleet at `fleet.now_s`, and scale it if that is due."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load's tasks and pods went through. Waiting is from arrival to the first start."""

    waits_s: Sequence[float]  # sorted
    pod_seconds: float
    turns: int  # changes of direction of the replicas
    interrupted: int  # runs cut short by the end of their pod
    most_replicas: int
    done_s: float  # when the last task that ended did so

    def wait_s(self, share: float) -> float:
        """The waiting time that `share` of the tasks did not exceed."""
        return self.waits_s[max(0, math.ceil(share * len(self.waits_s)) - 1)]


def replay(
    load: Sequence[tuple[float, float]],
    lasts_s: float,
    scaler: Scaler,
    *,
    concurrency: int = 10,
    start_s: float = START_S,
) -> Outcome:
    """Run `load`, (arrival, run time) in order of arrival, for `lasts_s`, on pods that take `start_s` to start."""
    tasks = [Task(arrives_s, service_s) for arrives_s, service_s in load]
    fleet = Fleet(tasks, concurrency, start_s)
    done_s = 0.0
    for step in range(round(lasts_s / STEP_S) + 1):
        runs = fleet.runs
        fleet.advance(step * STEP_S)
        if fleet.runs > runs:
            done_s = fleet.now_s
        scaler.turn(fleet)
    starts_s = (lasts_s if task.started_s is None else task.started_s for task in tasks)
    waits_s = sorted(start - task.arrives_s for start, task in zip(starts_s, tasks, strict=True))
    replicas = [count for _, count in fleet.history]
    return Outcome(
        waits_s=waits_s,
        pod_seconds=fleet.pod_seconds_until_now(),
        turns=_turns(replicas),
        interrupted=fleet.interrupted,
        most_replicas=max(replicas),
        done_s=done_s,
    )


def _turns(replicas: Sequence[int]) -> int:
    steps = [after - before for before, after in itertools.pairwise(replicas) if after != before]
    return sum(1 for before, after in itertools.pairwise(steps) if (before > 0) != (after > 0))
