"""Watch: reads the board a few times a second: does this worker still own what it holds, and what is new?

Ownership is gone when a beat was answered "not registered", and also when no beat got through for as long as
was promised: others may then take the tasks at any moment, so the code must have stopped before they do.
"""

from __future__ import annotations

import msgspec

from ferryman_worker.board import Board, mono_ms


class BeatNews(msgspec.Struct, frozen=True):
    """One beat, as far as the worker acts on it."""

    active: int
    resting: bool
    draining: bool
    generation: int
    cancelled_at_us: int = 0


class Watch:
    """Reads the board a few times a second: does this worker still own what it holds?"""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._seen = 0
        self._differed = False

    def gone(self) -> str | None:
        """Why ownership is gone, or None."""
        beat = self._board.last_beat()
        epoch, worker = self._board.identity()
        if not worker:
            return None
        if beat.epoch == epoch and not beat.registered:
            return "this worker was declared dead"
        if mono_ms() > self._board.promised_ms:
            return "no beat got through for as long as was promised"
        return None

    def news(self) -> BeatNews | None:
        """What a beat brought that was not seen before."""
        beat = self._board.last_beat()
        epoch, _ = self._board.identity()
        if beat.sequence == self._seen or beat.epoch != epoch:
            return None
        self._seen = beat.sequence
        resting = beat.hold or beat.draining
        return BeatNews(beat.active, resting, beat.draining, beat.generation, beat.cancelled_at_us)

    def differs(self, active: int, known: int) -> bool:
        """True when Redis and this worker have disagreed about the number of its tasks on two beats in a row."""
        differed, self._differed = self._differed, active != known
        return differed and self._differed
