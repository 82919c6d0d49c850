"""Comparison: Ferryman and KEDA on the same loads, several of each shape, and what both came to."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from scaling_simulator.ferryman import DEFAULTS, Ferryman
from scaling_simulator.fleet import START_S
from scaling_simulator.keda import Keda, ScaledObject
from scaling_simulator.replay import Outcome, Scaler, replay
from scaling_simulator.shapes import Shape

#: Slots of a pod.
CONCURRENCY: Final = 10

Makes = Callable[[Shape, int], Scaler]


def ferryman(shape: Shape, seed: int) -> Scaler:
    """Ferryman with its defaults, on a queue that has run such tasks before."""
    return Ferryman(service_s=shape.service_s)


def keda(shape: Shape, seed: int) -> Scaler:
    """KEDA with its defaults; where in its intervals it is when the load begins is a matter of chance."""
    return Keda(phase=random.Random(seed).random())


def keda_tuned(shape: Shape, seed: int) -> Scaler:
    """KEDA as who knows the run time would set it: a pod's share of the list is what it drains in the target."""
    length = max(1, round(CONCURRENCY * DEFAULTS.target_latency_s / shape.service_s))
    spec = ScaledObject(list_length=length, polling_s=5.0, cooldown_s=60.0, stabilization_s=60.0)
    return Keda(spec, phase=random.Random(seed).random())


@dataclass(frozen=True, slots=True)
class Result:
    """Outcomes of one scaler on several loads of one shape: each figure is that of a load, on average."""

    outcomes: Sequence[Outcome]

    def wait_s(self, share: float) -> float:
        """The waiting time that `share` of a load's tasks did not exceed, on average over the loads."""
        return self._mean([one.wait_s(share) for one in self.outcomes])

    @property
    def longest_wait_s(self) -> float:
        """The longest of all."""
        return max(one.wait_s(1.0) for one in self.outcomes)

    @property
    def pod_seconds(self) -> float:
        """Of one load."""
        return self._mean([one.pod_seconds for one in self.outcomes])

    @property
    def turns(self) -> float:
        """Changes of direction in one load."""
        return self._mean([one.turns for one in self.outcomes])

    @property
    def interrupted(self) -> float:
        """Runs cut short in one load."""
        return self._mean([one.interrupted for one in self.outcomes])

    def _mean(self, values: Sequence[float]) -> float:
        return sum(values) / len(values)


def measure(shape: Shape, scalers: Sequence[Makes], seeds: Sequence[int], start_s: float = START_S) -> list[Result]:
    """Replay one load of `shape` per seed through each of the scalers."""
    outcomes: list[list[Outcome]] = [[] for _ in scalers]
    for seed in seeds:
        load = shape.load(seed)
        for makes, done in zip(scalers, outcomes, strict=True):
            done.append(replay(load, shape.lasts_s, makes(shape, seed), concurrency=CONCURRENCY, start_s=start_s))
    return [Result(done) for done in outcomes]
