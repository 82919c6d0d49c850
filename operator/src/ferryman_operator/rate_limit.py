"""Rate limit: how many workers may be added to, or removed from, those of the last minute. Pure.

The bounds `minReplicas` and `maxReplicas` are the spec's own word, and hold at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ferryman_operator.spec import Scaling

#: The time for which maxAddedPerMinute and maxRemovedPerMinute speak.
LIMIT_S: Final = 60.0

#: How many workers there were, each number with the time since when: (since, workers).
Sizes = tuple[tuple[float, int], ...]


def observed(sizes: Sequence[tuple[float, int]], current: int, now_s: float) -> Sizes:
    """The sizes of the last minute; the first one began before it, if it is known."""
    known = tuple(sizes) if sizes and sizes[-1][1] == current else (*sizes, (now_s, current))
    begun = [index for index, (since_s, _) in enumerate(known) if since_s <= now_s - LIMIT_S]
    return known[begun[-1] :] if begun else known


def limited(wanted: int, scaling: Scaling, sizes: Sizes) -> tuple[int, str]:
    """`wanted` as far as the limits allow, and which limit does not; "" when none is in the way."""
    added, removed, current = scaling.added_per_minute, scaling.removed_per_minute, sizes[-1][1]
    if added is not None:
        most = max(current, min(size for _, size in sizes) + added, scaling.min_replicas)
        if wanted > most:
            return most, f"at most {added} are added in a minute (maxAddedPerMinute)"
    if removed is not None:
        least = min(current, max(size for _, size in sizes) - removed, scaling.max_replicas)
        if wanted < least:
            return least, f"at most {removed} are removed in a minute (maxRemovedPerMinute)"
    return wanted, ""
