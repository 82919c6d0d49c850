"""Schedule: what is killed when on Kubernetes. Pure: the same seed and options, the same schedule.

Which pod an index means is decided when its time has come: pods have no lasting names.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from ferryman.crashtest.cluster.kinds import Kind
from ferryman.crashtest.plan import Order

_FIRST_KILL_MS: Final = 5_000
_LOWEST_GAP_MS: Final = 2_000


def schedule(seed: int, count: int, over_ms: int, kinds: Sequence[Kind]) -> list[Order]:
    """`count` kills over about `over_ms`, in the order of their times; every kind has its turn before one comes again.

    A kind that must be alone pushes what follows it, past `over_ms` if need be.
    """
    chance = random.Random(f"{seed} cluster kills")  # noqa: S311  (no secret)
    chosen: list[Kind] = []
    while len(chosen) < count:
        chosen += chance.sample(kinds, len(kinds))
    del chosen[count:]
    free_ms = over_ms - _FIRST_KILL_MS - sum(kind.alone_ms for kind in chosen)
    mean_gap_ms = max(_LOWEST_GAP_MS, free_ms / max(1, count))
    orders: list[Order] = []
    at_ms = float(_FIRST_KILL_MS)
    for number, kind in enumerate(chosen, 1):
        orders.append(Order(number, round(at_ms), kind.name, chance.randrange(1_000_000), kind.alone_ms))
        at_ms += kind.alone_ms + mean_gap_ms * chance.uniform(0.4, 1.6)
    return orders
