"""The beat child's loop, step by step, and the board that it shares with the worker."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_worker import board as board_module
from ferryman_worker.board import BeatSeen, Board
from ferryman_worker.heartbeat import Heart
from ferryman_worker.watch import BeatNews, Watch

from ferryman.call import Call
from ferryman.errors import BrokerUnavailable
from ferryman.workers import Beat, WorkerRegistry


class Now:
    """The monotonic clock, by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = 1_000_000
        for module in ("board", "heartbeat", "watch"):
            monkeypatch.setattr(f"ferryman_worker.{module}.mono_ms", lambda: self.ms)


class Redis:
    """Answers beats, or not."""

    def __init__(self) -> None:
        self.answer: Beat | None = Beat(True, 3, False, False, 7, 0)
        self.beats: list[tuple[Any, ...]] = []

    def run(self, call: Call[Beat]) -> Beat:
        self.beats.append(call.args)
        if self.answer is None:
            raise BrokerUnavailable("away")
        return self.answer


class Child:
    """A heart with everything around it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = Now(monkeypatch)
        self.board = Board()
        self.redis = Redis()
        self.killed = 0
        self.heart = Heart(self.board, self.redis, WorkerRegistry("q").beat, 120_000, self._kill)

    def _kill(self) -> None:
        self.killed += 1

    def pass_time(self, ms: int, *, loop_moves: bool = True) -> None:
        for _ in range(ms // 100):
            self.now.ms += 100
            if loop_moves:
                self.board.tick()
            self.heart.round()
            self.heart.guard()


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    return Child(monkeypatch)


def test_nobody_beats_before_there_is_a_worker(child: Child) -> None:
    child.pass_time(5_000)
    assert child.redis.beats == []


def test_beats_fifteen_times_per_timeout_and_posts_the_answers(child: Child) -> None:
    epoch = child.board.announce("w1", 15_000, child.now.ms + 15_000)
    child.pass_time(10_000)
    assert len(child.redis.beats) == 10
    assert child.redis.beats[0] == ("w1", 15_000)
    beat = child.board.last_beat()
    assert (beat.epoch, beat.registered, beat.active, beat.generation) == (epoch, True, 3, 7)
    assert child.now.ms - 1_000 <= child.board.promised_ms - 15_000 <= child.now.ms


def test_a_new_id_is_beaten_for_at_once(child: Child) -> None:
    child.board.announce("w1", 15_000, child.now.ms + 15_000)
    child.pass_time(200)
    child.board.announce("w2", 15_000, child.now.ms + 15_000)
    child.pass_time(100)
    assert [beat[0] for beat in child.redis.beats] == ["w1", "w2"]


def test_an_unanswered_beat_leaves_the_promise_as_it_was_and_is_tried_again_soon(child: Child) -> None:
    promised = child.now.ms + 15_000
    child.board.announce("w1", 15_000, promised)
    child.redis.answer = None
    child.pass_time(2_000)
    assert child.board.promised_ms == promised
    assert len(child.redis.beats) >= 6
    assert child.board.beat_errors == len(child.redis.beats)


def test_the_promise_counts_from_before_the_sending(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    child.board.announce("w1", 15_000, child.now.ms + 15_000)
    sent_at = child.now.ms + 100

    def paused(call: Call[Beat]) -> Beat:
        child.now.ms += 10_000  # the process was paused with the answer on its way
        return Beat(True, 0, False, False, 0, 0)

    monkeypatch.setattr(child.redis, "run", paused)
    child.pass_time(100)
    assert child.board.promised_ms == sent_at + 15_000


def test_a_blocked_loop_does_not_stop_the_beats(child: Child) -> None:
    child.board.announce("w1", 15_000, child.now.ms + 15_000)
    child.pass_time(60_000, loop_moves=False)
    assert len(child.redis.beats) == 60
    assert child.killed == 0


def test_a_hung_loop_stops_the_beats_and_then_the_worker(child: Child) -> None:
    child.board.announce("w1", 15_000, child.now.ms + 15_000)
    child.pass_time(121_000, loop_moves=False)
    beats = len(child.redis.beats)
    assert beats == 120
    child.pass_time(10_000, loop_moves=False)
    assert len(child.redis.beats) == beats
    assert child.killed == 0  # the promise still holds
    child.pass_time(10_000, loop_moves=False)
    assert child.killed > 0


def test_a_broken_promise_kills_only_a_worker_that_cannot_stop_its_code_itself(child: Child) -> None:
    child.board.announce("w1", 15_000, child.now.ms + 15_000)
    child.redis.answer = None
    child.pass_time(60_000)
    assert child.killed == 0
    child.pass_time(3_000, loop_moves=False)
    assert child.killed > 0


def test_a_paused_container_gets_its_chance_to_move_before_it_is_killed(child: Child) -> None:
    child.board.announce("w1", 15_000, child.now.ms + 15_000)
    child.now.ms += 60_000  # SIGSTOP for both processes, then SIGCONT: the child is the first to run
    child.redis.answer = Beat(False, 0, False, False, 0, 0)
    child.heart.round()
    child.heart.guard()
    child.board.tick()
    child.pass_time(5_000)
    assert child.killed == 0


def test_the_watch_says_why_ownership_is_gone(child: Child) -> None:
    watch = Watch(child.board)
    assert watch.gone() is None
    child.board.announce("w1", 15_000, child.now.ms + 15_000)
    child.pass_time(1_000)
    assert watch.gone() is None
    child.redis.answer = Beat(False, 0, False, False, 0, 0)
    child.pass_time(1_000)
    assert watch.gone() == "this worker was declared dead"
    child.board.announce("w2", 15_000, child.now.ms + 15_000)
    assert watch.gone() is None, "an answer to the old id says nothing about the new one"
    child.redis.answer = None
    child.pass_time(15_100)
    assert watch.gone() == "no beat got through for as long as was promised"


def test_the_watch_passes_each_beat_on_once(child: Child) -> None:
    watch = Watch(child.board)
    child.board.announce("w1", 15_000, child.now.ms + 15_000)
    child.redis.answer = Beat(True, 5, False, True, 9, 0)
    child.pass_time(100)
    assert watch.news() == BeatNews(active=5, resting=True, draining=True, generation=9)
    assert watch.news() is None


def test_only_two_beats_in_a_row_that_disagree_call_for_a_comparison(child: Child) -> None:
    watch = Watch(child.board)
    assert [watch.differs(3, 4), watch.differs(3, 3), watch.differs(3, 4), watch.differs(3, 4)] == [
        *(False, False, False, True)
    ]


def test_a_beat_under_an_old_epoch_does_not_prolong_the_new_promise() -> None:
    board = Board()
    old = board.announce("w1", 15_000, 10)
    board.announce("w2", 15_000, 20)
    board.post(BeatSeen(0, old, True, 0, False, False, 0), promised_ms=99_999)
    assert board.promised_ms == 20


def test_the_board_s_clock_is_shared_by_processes_of_one_machine() -> None:
    assert abs(board_module.mono_ms() - board_module.mono_ms()) < 1_000
    board = Board()
    assert 0 <= board.stalled_ms < 60_000
