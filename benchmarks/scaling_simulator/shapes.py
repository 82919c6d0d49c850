"""Shapes: the loads of the comparison, each from a seed, as (arrival, run time) in seconds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

Load = list[tuple[float, float]]
Draw = Callable[[random.Random], float]


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of load: how it comes, for how long it is watched, and the mean run that the queue has seen so far."""

    name: str
    words: str  # what it is, for the table
    lasts_s: float
    service_s: float
    make: Callable[[random.Random], Load]

    def load(self, seed: int) -> Load:
        """One load of this kind."""
        return self.make(random.Random(seed))


def _exponential(mean_s: float) -> Draw:
    return lambda draw: draw.expovariate(1 / mean_s)


def _around(mean_s: float) -> Draw:
    return lambda draw: draw.uniform(0.75 * mean_s, 1.25 * mean_s)


def _mixture(draw: random.Random) -> float:
    """Mostly short, some middling, a few that take a minute: 0.82 s on average."""
    kind = draw.random()
    if kind < 0.9:
        return draw.uniform(0.1, 0.3)
    return draw.uniform(2.0, 4.0) if kind < 0.995 else draw.uniform(45.0, 90.0)


def _poisson(draw: random.Random, rate: Callable[[float], float], most: float, lasts_s: float) -> Iterator[float]:
    """Moments of random arrivals at `rate` per second, which is never above `most`."""
    now_s = draw.expovariate(most)
    while now_s < lasts_s:
        if draw.random() * most <= rate(now_s):
            yield now_s
        now_s += draw.expovariate(most)


def _flow(
    rate: Callable[[float], float], most: float, lasts_s: float, service: Draw
) -> Callable[[random.Random], Load]:
    return lambda draw: [(at_s, service(draw)) for at_s in _poisson(draw, rate, most, lasts_s)]


def _burst(draw: random.Random) -> Load:
    at_s = 10 + draw.uniform(0, 30)
    return [(at_s, 1.0)] * 2000


def _hourly(draw: random.Random) -> Load:
    background = _flow(lambda _: 0.5, 0.5, 5400, _exponential(0.5))(draw)
    spikes = [(hour_s + draw.uniform(0, 2), draw.expovariate(1 / 0.5)) for hour_s in (600, 4200) for _ in range(3000)]
    return sorted(background + spikes)


def _mixed(draw: random.Random) -> Load:
    """The rate jumps to another level every two minutes."""
    levels = [draw.uniform(5, 60) for _ in range(15)]
    return _flow(lambda now_s: levels[int(now_s // 120)], 60, 1800, _mixture)(draw)


def _day(now_s: float) -> float:
    return 25 * (1 - math.cos(2 * math.pi * now_s / 1800))


SHAPES: Final = (
    Shape("steady", "40/s of 0.7 s, 20 min", 1200, 0.7, _flow(lambda _: 40, 40, 1200, _exponential(0.7))),
    Shape("burst", "2,000 of 1 s at once", 900, 1.0, _burst),
    Shape("diurnal", "0 to 50/s of 2 s and back in 30 min", 1800, 2.0, _flow(_day, 50, 1800, _exponential(2.0))),
    Shape("hourly", "3,000 of 0.5 s at the full hour, else 0.5/s", 5400, 0.5, _hourly),
    Shape("slow", "0.5/s of 60 s, 40 min", 2400, 60.0, _flow(lambda _: 0.5, 0.5, 2400, _around(60.0))),
    Shape("mixed", "0.1 s to 90 s, 5 to 60/s in jumps, 30 min", 1800, 0.82, _mixed),
)
