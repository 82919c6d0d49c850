"""Board: a page of memory that the worker and its beat child share, one writer for each number on it.

The worker writes who it is and that its loop moves; the child writes what the last beat brought back. Numbers
are single machine words, so each is read whole; a beat is read between two looks at its sequence number.
Whoever dies leaves the page to the other: the worker sees the child's silence, the child is killed.
All times are milliseconds of the monotonic clock, which processes of one machine share.
"""

from __future__ import annotations

import mmap
import time

import msgspec

_WORDS = 32
_NAME_AT = _WORDS * 8
_NAME_BYTES = 512

(
    _TICK,
    _EPOCH,
    _TIMEOUT,
    _READY,
    _BEAT,
    _BEAT_EPOCH,
    _REGISTERED,
    _ACTIVE,
    _HOLD,
    _DRAINING,
    _GENERATION,
    _PROMISED,
    _NAME_LENGTH,
    _ERRORS,
    _CANCELLED,
) = range(15)


def mono_ms() -> int:
    """Milliseconds of the monotonic clock: for durations, never for storage."""
    return time.monotonic_ns() // 1_000_000


class BeatSeen(msgspec.Struct, frozen=True):
    """What one beat brought back. `sequence` grows with every beat; `epoch` says under which identity it was."""

    sequence: int
    epoch: int
    registered: bool
    active: int
    hold: bool
    draining: bool
    generation: int
    cancelled_at_us: int = 0


class Board:
    """Made before the fork; both processes use the same object."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, _NAME_AT + _NAME_BYTES)
        self._words = memoryview(self._page).cast("q")
        self.tick()

    # The worker writes.

    def tick(self) -> None:
        """The loop moves."""
        self._words[_TICK] = mono_ms()

    def announce(self, worker: str, timeout_ms: int, promised_ms: int) -> int:
        """From now on beat for `worker`; returns the new epoch. "" = beat for nobody."""
        name = worker.encode()
        self._words[_EPOCH] += 1  # odd while the name is being written
        self._page[_NAME_AT : _NAME_AT + len(name)] = name
        self._words[_NAME_LENGTH] = len(name)
        self._words[_TIMEOUT] = timeout_ms
        self._words[_PROMISED] = promised_ms
        self._words[_EPOCH] += 1
        return self._words[_EPOCH]

    def set_timeout(self, timeout_ms: int) -> None:
        """The promise of the next beats."""
        self._words[_TIMEOUT] = timeout_ms

    def set_ready(self, ready: bool) -> None:
        """What /readyz answers."""
        self._words[_READY] = int(ready)

    # The child writes.

    def post(self, beat: BeatSeen, promised_ms: int) -> None:
        """One beat was answered; the promise now holds until `promised_ms`."""
        words = self._words
        words[_BEAT] += 1  # odd while being written
        words[_BEAT_EPOCH] = beat.epoch
        words[_REGISTERED] = int(beat.registered)
        words[_ACTIVE] = beat.active
        words[_HOLD] = int(beat.hold)
        words[_DRAINING] = int(beat.draining)
        words[_GENERATION] = beat.generation
        words[_CANCELLED] = beat.cancelled_at_us
        if beat.registered and beat.epoch == words[_EPOCH]:
            words[_PROMISED] = promised_ms
        words[_BEAT] += 1

    def count_error(self) -> None:
        """A beat had no answer."""
        self._words[_ERRORS] += 1

    # Both read.

    def identity(self) -> tuple[int, str]:
        """(epoch, worker id); epoch 0 or an empty id: nobody to beat for."""
        while True:
            epoch = self._words[_EPOCH]
            name = bytes(self._page[_NAME_AT : _NAME_AT + self._words[_NAME_LENGTH]])
            if epoch % 2 == 0 and epoch == self._words[_EPOCH]:
                return epoch, name.decode()
            time.sleep(0)

    def last_beat(self) -> BeatSeen:
        """The last beat that was answered; sequence 0 = none yet."""
        words = self._words
        while True:
            sequence = words[_BEAT]
            beat = BeatSeen(
                sequence,
                words[_BEAT_EPOCH],
                bool(words[_REGISTERED]),
                words[_ACTIVE],
                bool(words[_HOLD]),
                bool(words[_DRAINING]),
                words[_GENERATION],
                words[_CANCELLED],
            )
            if sequence % 2 == 0 and sequence == words[_BEAT]:
                return beat
            time.sleep(0)

    @property
    def stalled_ms(self) -> int:
        """How long the worker's loop has not moved."""
        return mono_ms() - self._words[_TICK]

    @property
    def timeout_ms(self) -> int:
        """The silence that each beat asks Redis to bear."""
        return self._words[_TIMEOUT]

    @property
    def promised_ms(self) -> int:
        """Until when the last answered beat keeps this worker from being suspected."""
        return self._words[_PROMISED]

    @property
    def ready(self) -> bool:
        """Whether the worker takes tasks."""
        return bool(self._words[_READY])

    @property
    def beat_errors(self) -> int:
        """Beats without an answer since the start."""
        return self._words[_ERRORS]
