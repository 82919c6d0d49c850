"""Says so when a queue is not known, with the nearest name that is."""

from __future__ import annotations

from ferryman.cli.output import note
from ferryman.inspector import queues_known
from ferryman.link import SyncLink
from ferryman.manifest import nearest


def note_unknown(link: SyncLink, queue: str) -> None:
    """Remarks that nothing is known of this queue, when that is so: a mistyped name should not pass in silence."""
    known = link.run(queues_known())
    if queue in known:
        return
    near = nearest(queue, known)
    hint = f" Did you mean {near!r}?" if near else ""
    note(f"Nothing is known of a queue {queue!r} here yet.{hint}")
