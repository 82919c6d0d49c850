"""Heartbeat: the child process that keeps the worker's promise to Redis.

Forked before threads, the loop or the app exist, it beats over its own blocking connection, so a handler that
blocks the loop or holds the GIL cannot starve the beats. What a beat brings back goes onto the board.

Crashes: if the worker dies the kernel kills this child, and beats end with it. If the child dies, the worker
sees the end of their socket pair and stops. If the loop stands still for the hang timeout, beats stop, since a
hung worker is a dead worker. If the promise has run out while the loop cannot react (nobody else can stop the
code that runs there), the child kills the worker before its tasks may run elsewhere. A thread of its own sees to
that: a beat into a broken network waits for seconds.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import NoReturn, Protocol

from ferryman.call import Call
from ferryman.errors import BrokerError
from ferryman.workers import Beat
from ferryman_worker.board import BeatSeen, Board, mono_ms
from ferryman_worker.health import MetricsLine, serve
from ferryman_worker.lifeline import die_with_parent, leave_signals_to_parent
from ferryman_worker.settings import BEATS_PER_TIMEOUT

logger = logging.getLogger(__name__)

#: A loop that has not moved for this long can't stop its own code.
_STALLED_MS = 2_000
#: So many looks in a row must find the promise broken and the loop stalled before the child kills the worker:
#: after a pause of the whole container the loop gets its chance to move first. All of them fit into the 0.8 s that
#: recoverers take at the least to declare a silent worker dead.
_LAST_RESORT_LOOKS = 3
_GUARD_EVERY_S = 0.2
_LONGEST_ROUND_S = 0.5


class BlockingLink(Protocol):
    """What the child needs of ferryman.link.SyncLink."""

    def run(self, call: Call[Beat]) -> Beat: ...


class Heart:
    """The child's loop, apart from the fork, so that it can be tested step by step."""

    def __init__(
        self,
        board: Board,
        link: BlockingLink,
        beat_call: Callable[[str, int], Call[Beat]],
        hang_timeout_ms: int,
        kill_worker: Callable[[], None],
    ) -> None:
        self._board = board
        self._link = link
        self._beat_call = beat_call
        self._hang_timeout_ms = hang_timeout_ms
        self._kill_worker = kill_worker
        self._next_ms = 0
        self._broken_looks = 0
        self._was_hung = False
        self._epoch = 0

    def round(self) -> float:
        """Beats if a beat is due; returns the seconds until it wants to be called again."""
        board = self._board
        epoch, worker = board.identity()
        if not worker:
            return 0.02
        if epoch != self._epoch:
            self._epoch, self._next_ms = epoch, 0
        now = mono_ms()
        if now >= self._next_ms:
            period_ms = max(board.timeout_ms // BEATS_PER_TIMEOUT, 50)
            answered = not self._hung() and self._beat(epoch, worker)
            # An unanswered beat is tried again soon: every one that gets through moves the deadline.
            self._next_ms = now + (period_ms if answered else max(period_ms // 4, 50))
        return min(max(self._next_ms - mono_ms(), 10) / 1_000, _LONGEST_ROUND_S)

    def _beat(self, epoch: int, worker: str) -> bool:
        sent_ms, timeout_ms = mono_ms(), self._board.timeout_ms
        try:
            beat = self._link.run(self._beat_call(worker, timeout_ms))
        except BrokerError as error:
            self._board.count_error()
            logger.debug("no answer to a beat: %s", error)
            return False
        seen = BeatSeen(
            *(0, epoch, beat.registered, beat.active, beat.hold, beat.draining),
            *(beat.config_generation, beat.cancelled_at_us),
        )
        # The promise counts from before the sending: this process may have been paused at any point since.
        self._board.post(seen, sent_ms + timeout_ms)
        return True

    def _hung(self) -> bool:
        hung = self._board.stalled_ms >= self._hang_timeout_ms
        if hung and not self._was_hung:
            logger.error("the event loop has not moved for %d s: no more beats", self._hang_timeout_ms // 1_000)
        self._was_hung = hung
        return hung

    def guard(self) -> None:
        """One look at a promise that nobody may be able to keep any more."""
        board = self._board
        _, worker = board.identity()
        broken = bool(worker) and mono_ms() > board.promised_ms and board.stalled_ms > _STALLED_MS
        self._broken_looks = self._broken_looks + 1 if broken else 0
        if self._broken_looks >= _LAST_RESORT_LOOKS:
            logger.critical("the promise has run out and the loop does not move: killing the worker")
            self._kill_worker()


class BeatChild:
    """The worker's handle on its beat child."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid = pid
        #: Readable when the child asks for metrics (4 bytes: a number) or has died (end of stream).
        self.line = line
        #: It was ended on purpose.
        self.ended = False

    @classmethod
    def fork(
        cls,
        board: Board,
        connect: Callable[[], BlockingLink],
        beat_call: Callable[[str, int], Call[Beat]],
        listener: socket.socket,
        hang_timeout_ms: int,
    ) -> BeatChild:
        """Forks. Must run before this process has threads, a loop or connections. Takes over `listener`."""
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                die_with_parent(parent)
                leave_signals_to_parent()
                ours.close()
                _live(board, connect, beat_call, listener, hang_timeout_ms, theirs, parent)
            finally:
                os._exit(1)
        theirs.close()
        listener.close()
        return cls(pid, ours)

    def kill(self) -> None:
        """Ends the beats; returns when none can be sent any more."""
        if self.ended:
            return
        self.ended = True
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it died earlier

    def stop(self) -> None:
        """Ends the child: nothing is left to beat for."""
        self.line.close()
        self.kill()


def _live(
    board: Board,
    connect: Callable[[], BlockingLink],
    beat_call: Callable[[str, int], Call[Beat]],
    listener: socket.socket,
    hang_timeout_ms: int,
    line: socket.socket,
    parent: int,
) -> NoReturn:
    threading.Thread(
        target=serve, args=(listener, board, hang_timeout_ms, MetricsLine(line)), name="health", daemon=True
    ).start()
    heart = Heart(board, connect(), beat_call, hang_timeout_ms, lambda: os.kill(parent, signal.SIGKILL))
    threading.Thread(target=_stand_guard, args=(heart,), name="guard", daemon=True).start()
    while os.getppid() == parent:  # for systems without a death signal
        time.sleep(heart.round())
    os._exit(0)


def _stand_guard(heart: Heart) -> NoReturn:
    while True:
        time.sleep(_GUARD_EVERY_S)
        heart.guard()
