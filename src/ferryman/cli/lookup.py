"""Says so when a queue is not known, with the nearest name that is."""

from __future__ import annotations

from difflib import get_close_matches

from ferryman.cli.output import note
from ferryman.inspector import queues_known
from ferryman.link import SyncLink


def note_unknown(link: SyncLink, queue: str) -> None:
    """Remarks that nothing is known of this queue, when that is so: a mistyped name should not pass in silence."""
    known = link.run(queues_known())
    if queue in known:
        return
    nearest = get_close_matches(queue, known, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    note(f"Nothing is known of a queue {queue!r} here yet.{hint}")
