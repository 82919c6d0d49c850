"""The pulse: what beats bring reaches the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container
from typing import Any, cast

import pytest
from ferryman_bench import Bench
from ferryman_worker.board import BeatSeen, Board, mono_ms
from ferryman_worker.counters import Counters
from ferryman_worker.fetcher import Fetcher
from ferryman_worker.pulse import Pulse
from ferryman_worker.repertoire import Repertoire
from ferryman_worker.stop import StopRequest

from ferryman.policy import Policy


class Conversation:
    """Stands where the fetcher does, and notes what it is told."""

    def __init__(self) -> None:
        self.held = 1
        self.reconcile = False
        self.resting: list[bool] = []
        self.worker = "w"
        self.cancelled: list[str] = []

    def wake(self) -> None: ...

    def give_back_stale(self) -> None: ...

    def tell_progress(self) -> None: ...

    def held_ids(self) -> list[str]:
        return ["a", "b"]

    def cancel(self, ids: Container[str], can_stop: Callable[[str], bool]) -> None:
        self.cancelled += [id for id in self.held_ids() if id in ids]

    def rest(self, resting: bool) -> None:
        self.resting.append(resting)


class Scene:
    """A pulse, and a board on which the test writes beats as the beat child does."""

    def __init__(self, bench: Bench) -> None:
        self.board = Board()
        self.epoch = self.board.announce("w", 15_000, mono_ms() + 60_000)
        self.conversation = Conversation()
        repertoire = Repertoire({}, Counters("bench"), Policy(), None)
        registrar = cast(Any, None)  # only a new policy speaks to it
        self.pulse = Pulse(self.board, bench.link, "bench", repertoire, registrar, StopRequest())
        self.pulse.watch(cast(Fetcher, self.conversation))

    def beat(self, active: int, *, registered: bool = True, hold: bool = False, cancelled_at_us: int = 0) -> None:
        beat = BeatSeen(0, self.epoch, registered, active, hold, False, 0, cancelled_at_us)
        self.board.post(beat, mono_ms() + 60_000)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)

    async def beat_and_see(self, active: int, **answer: bool) -> None:
        """A beat that the pulse has passed on."""
        seen = len(self.conversation.resting)
        self.beat(active, **answer)
        await self.until(lambda: len(self.conversation.resting) > seen)


@pytest.fixture
async def scene(fake_bench: Bench) -> AsyncIterator[Scene]:
    made = Scene(fake_bench)
    yield made
    made.pulse.end()


async def test_two_beats_that_count_more_than_the_worker_knows_make_it_compare(scene: Scene) -> None:
    await scene.beat_and_see(active=2)
    assert not scene.conversation.reconcile, "one may be an outcome on its way"
    await scene.beat_and_see(active=2)
    assert scene.conversation.reconcile


async def test_beats_that_agree_ask_for_nothing(scene: Scene) -> None:
    for _ in range(3):
        await scene.beat_and_see(active=1)
    assert not scene.conversation.reconcile


async def test_a_beat_that_was_not_registered_ends_the_tenure(scene: Scene) -> None:
    gone = asyncio.create_task(scene.pulse.gone())
    await scene.beat_and_see(active=0)
    assert not scene.pulse.is_gone
    scene.beat(active=0, registered=False)

    assert await asyncio.wait_for(gone, 30) == "this worker was declared dead"
    assert scene.pulse.is_gone


async def test_hold_is_passed_on(scene: Scene) -> None:
    await scene.beat_and_see(active=1, hold=True)
    await scene.beat_and_see(active=1)
    assert scene.conversation.resting == [True, False]


async def test_a_beat_that_says_somebody_has_cancelled_makes_the_worker_ask_which(
    scene: Scene, fake_bench: Bench
) -> None:
    await fake_bench.hold_active("w", "a", "b")
    await fake_bench.run(fake_bench.broker.ask_to_stop("b"))
    beat = await fake_bench.run(fake_bench.workers.beat("w", 15_000))

    for _ in range(2):
        scene.beat(active=1, cancelled_at_us=beat.cancelled_at_us)
        await scene.until(lambda: scene.conversation.cancelled)
    assert scene.conversation.cancelled == ["b"]

    await fake_bench.run(fake_bench.broker.ask_to_stop("a"))
    again = await fake_bench.run(fake_bench.workers.beat("w", 15_000))
    scene.beat(active=1, cancelled_at_us=max(again.cancelled_at_us, beat.cancelled_at_us + 1))
    await scene.until(lambda: "a" in scene.conversation.cancelled)
