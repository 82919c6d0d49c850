"""History: the runs of a task that did not end well, as the scripts that ended them wrote them down.

One JSON object per line in field `history` of the task's hash, the latest 10; see `scripts/parts/history.lua`. A run
that ended well is not there: its task is completed, and shows when.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec


class PastRun(msgspec.Struct, frozen=True):
    """One run. Times are epoch milliseconds of Redis' clock.

    `outcome`: `retried`, `crashed` (what ran it died, and that was charged to it), `recovered` (its worker died, and
    nobody was charged) or `dead`.
    """

    attempt: int  # its number among those that count; one that spent no attempt shares it with the next
    started_ms: int  # its worker had it from here on
    ended_ms: int  # Redis heard of its end
    run_ms: int | None  # how long its code ran; None when nobody lived to tell
    outcome: str
    worker: str
    error: str  # one line


_decode: Final = msgspec.json.Decoder(PastRun).decode


def read_history(lines: str) -> tuple[PastRun, ...]:
    """The runs, the oldest first. A line that can't be read is left out: a look at bad data must not fail."""
    return tuple(_read(lines))


def _read(lines: str) -> Iterator[PastRun]:
    for line in filter(None, lines.split("\n")):
        try:
            yield _decode(line)
        except msgspec.DecodeError:
            continue
