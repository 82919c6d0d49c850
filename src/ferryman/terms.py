"""Terms: what few tasks ask for beyond a time, a priority and a unique key.

They travel to the enqueue script as one JSON object, and only when there are any: other tasks pay nothing for them.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """Fields that the enqueue script reads; each belongs to one feature."""

    keep: bool = False  # its result is kept, or word of its end
    expires_ms: int = 0  # from the enqueue on; then nobody runs it any more; 0 = no deadline

    lane: str = ""
    unique_for: str = ""  # 'while_waiting', or empty: until its task has ended
    throttle_ms: int = 0  # the unique key is kept for so long, whatever becomes of its task
    debounce_ms: int = 0  # so long after the last enqueue with its key the task is due

    flow: str = ""  # the workflow that it is a node of, and as which
    node: str = ""
    nodes: int = 0  # in all
    waits: bool = False  # for others
    after: list[str] = []  # ids that it waits for, as far as this end of the edge brings them
    next: list[str] = []  # ids that wait for it, likewise
    ignores: bool = False  # those that wait for it go on when it fails
    undo: str = ""  # the task that undoes it, as JSON
    pin_ms: int = 0  # others read its result; for so long it is kept after the workflow
    sending: bool = False  # there are more batches than this
    spec: str = ""  # what people are shown of it, as JSON

    def encode(self) -> bytes:
        """The JSON for the script; empty when nothing is asked for."""
        return b"" if self == NO_TERMS else _encode(self)


NO_TERMS: Final = Terms()
_encode: Final = msgspec.json.Encoder().encode
