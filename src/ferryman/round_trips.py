"""Round trips to Redis, as links tell of them and metrics count them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Is told of each round trip that was answered how many seconds it took. Called often, so it must be cheap.
WatchTrips = Callable[[float], object]

#: Upper bounds in seconds: from a Redis on the same machine to one that is given up.
TRIP_BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
