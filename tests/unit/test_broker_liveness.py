"""recover's verdicts: nobody is dead on one look, and a hint or a vouch only shifts how soon."""

from __future__ import annotations

from ferryman_bench import Bench

from ferryman.manifest import Manifest
from ferryman.workers import WorkerInfo


async def verdict(bench: Bench, worker: str = "w") -> str:
    """One look."""
    return (await bench.run(bench.broker.recover(worker))).verdict


async def test_a_worker_that_beats_is_alive(bench: Bench) -> None:
    await bench.hold_active("w", "t")

    async with bench.changes() as changes:
        assert await verdict(bench) == "alive"
    assert changes == {}


async def test_a_deadline_below_zero_is_long_past_and_its_tasks_come_back(fake_bench: Bench) -> None:
    """On a clock that really moves: the other one shifts what is stored, and this score must stay as it is."""
    await fake_bench.hold_active("w", "a", "b")
    await fake_bench.write("ZADD", fake_bench.keys.workers, -7, "w")

    assert await fake_bench.look_until_dead("w") == (2, 0, 0)


async def test_a_worker_that_nobody_knows_is_unknown(bench: Bench) -> None:
    assert await verdict(bench, "nobody") == "unknown"


async def test_one_look_never_kills_however_long_the_silence(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.clock.advance(86_400_000)

    async with bench.changes() as changes:
        assert await verdict(bench) == "suspected"
    assert changes == {"suspected": {"w": "1 looks"}}


async def test_looks_that_follow_too_closely_count_once(bench: Bench) -> None:
    """Many recoverers at the same instant are one look."""
    await bench.hold_active("w", "t")
    await bench.clock.advance(15_001)
    for _ in range(10):
        assert await verdict(bench) == "suspected"
    assert (await bench.snapshot())["suspected"] == {"w": "1 looks"}


async def test_the_third_look_two_beats_later_is_death(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.clock.advance(15_001)
    assert await verdict(bench) == "suspected"
    await bench.clock.advance(1_000)
    assert await verdict(bench) == "suspected"
    await bench.clock.advance(1_000)
    assert await verdict(bench) == "dead"


async def test_three_looks_within_less_than_two_beats_are_not_enough(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.clock.advance(15_001)
    for _ in range(4):
        assert await verdict(bench) == "suspected"
        await bench.clock.advance(450)
    assert await verdict(bench) == "suspected"
    await bench.clock.advance(450)
    assert await verdict(bench) == "dead"


async def test_a_gap_between_looks_starts_them_again(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.clock.advance(15_001)
    await verdict(bench)
    await bench.clock.advance(1_000)
    await verdict(bench)
    await bench.clock.advance(5_001)

    assert await verdict(bench) == "suspected"
    assert (await bench.snapshot())["suspected"] == {"w": "1 looks"}


async def test_a_beat_between_looks_starts_them_again(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.clock.advance(15_001)
    await verdict(bench)
    await bench.clock.advance(1_000)
    await verdict(bench)
    await bench.run(bench.workers.beat("w", 100))
    assert await verdict(bench) == "alive"
    await bench.clock.advance(1_000)

    assert await verdict(bench) == "suspected"
    assert (await bench.snapshot())["suspected"] == {"w": "1 looks"}


async def test_a_frozen_redis_costs_nobody_a_task(bench: Bench) -> None:
    """Every deadline has passed when it wakes. Queued looks run first, then the beats."""
    await bench.hold_active("w1", "a")
    await bench.hold_active("w2", "b")
    await bench.clock.advance(60_000)
    for worker in await bench.run(bench.workers.look()):
        for _ in range(5):
            assert await verdict(bench, worker) == "suspected"
    for worker in ("w1", "w2"):
        assert (await bench.run(bench.workers.beat(worker, 15_000))).registered

    assert await verdict(bench, "w1") == "alive"
    assert (await bench.stats()).active == 2


async def test_a_hint_shortens_the_deadline_to_two_silent_beats(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    assert await bench.run(bench.workers.hint_gone("w", "OOMKilled"))
    assert await verdict(bench) == "alive"
    await bench.clock.advance(2_001)
    assert await verdict(bench) == "suspected"
    await bench.clock.advance(1_000)
    assert await verdict(bench) == "dead"


async def test_a_wrong_hint_is_harmless_and_forgotten(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.run(bench.workers.hint_gone("w", "gone", exempt=True))
    await bench.clock.advance(1_500)
    await bench.run(bench.workers.beat("w", 15_000))
    await bench.clock.advance(10_000)
    assert await verdict(bench) == "alive"

    worker = (await bench.snapshot())["worker:w"]
    assert "hint" not in worker
    assert "exempt" not in worker


async def test_a_hint_about_nobody_changes_nothing(bench: Bench) -> None:
    async with bench.changes() as changes:
        assert await bench.run(bench.workers.hint_gone("nobody", "gone")) is False
    assert changes == {}


async def test_a_vouched_worker_is_left_alone_up_to_the_hard_limit(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.run(bench.workers.vouch(["w"], 3_600_000))
    await bench.clock.advance(15_000 + 59_000)
    assert await verdict(bench) == "vouched"

    await bench.clock.advance(2_000)
    assert await verdict(bench) == "suspected"


async def test_a_vouch_ends_by_itself(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.run(bench.workers.vouch(["w"], 16_000))
    await bench.clock.advance(15_500)
    assert await verdict(bench) == "vouched"
    await bench.clock.advance(1_000)
    assert await verdict(bench) == "suspected"


async def test_a_hint_ends_a_vouch(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.run(bench.workers.vouch(["w"], 600_000))
    await bench.run(bench.workers.hint_gone("w", "gone"))
    await bench.clock.advance(2_001)
    assert await verdict(bench) == "suspected"


async def test_a_dead_worker_stays_dead_when_it_beats(bench: Bench) -> None:
    await bench.hold_active("w", "a", "b")
    await bench.look_until_dead("w", limit=1)

    async with bench.changes() as changes:
        beat = await bench.run(bench.workers.beat("w", 15_000))
    assert not beat.registered
    assert changes == {}
    assert (await bench.run(bench.broker.recover("w"))).verdict == "dead"


async def test_the_beat_of_a_worker_that_nobody_knows_does_not_register_it(bench: Bench) -> None:
    async with bench.changes() as changes:
        assert not (await bench.run(bench.workers.beat("nobody", 15_000))).registered
    assert changes == {}


async def test_a_lower_timeout_applies_from_the_next_beat_and_robs_nobody(bench: Bench) -> None:
    """The deadline is what the worker itself promised, not what the policy says by now."""
    await bench.hold_active("w", "t")
    await bench.run(bench.policy.write({"worker_timeout_ms": 1_000}, 2))
    await bench.clock.advance(10_000)
    assert await verdict(bench) == "alive"


async def test_the_lock_of_a_container_proves_its_predecessor_dead(bench: Bench) -> None:
    await bench.register("old", slot="uid.worker")
    await bench.enqueue("t")
    await bench.fetch("old")
    assert await bench.run(bench.workers.in_slot("uid.worker")) == "old"
    assert await bench.run(bench.workers.declare_dead("old", "its process ended"))

    assert await verdict(bench, "old") == "dead"
    await bench.register("new", slot="uid.worker")
    assert [d.id for d in await bench.fetch("new")] == ["t"]
    assert (await bench.snapshot())["slots"] == {"uid.worker": "new"}


async def test_a_registration_that_arrives_late_does_not_take_the_place_of_its_successor(bench: Bench) -> None:
    """It hung in a half-open connection while its process died and the container was restarted."""
    await bench.register("successor", slot="uid.worker")
    await bench.enqueue("t")
    await bench.fetch("successor")

    async with bench.changes() as changes:
        late = await bench.run(bench.workers.register(info("gone", slot="uid.worker"), Manifest("app", {})))
    assert (late.holder, changes) == ("successor", {})
    assert await verdict(bench, "successor") == "alive"


async def test_a_registration_may_be_sent_again(bench: Bench) -> None:
    for _ in range(2):
        registered = await bench.run(bench.workers.register(info("w", slot="uid.worker"), Manifest("app", {})))
        assert registered.holder is None
    assert (await bench.snapshot())["slots"] == {"uid.worker": "w"}


async def test_a_slot_whose_worker_has_left_is_free(bench: Bench) -> None:
    await bench.register("old", slot="uid.worker")
    await bench.run(bench.workers.unregister("old"))

    registered = await bench.run(bench.workers.register(info("new", slot="uid.worker"), Manifest("app", {})))
    assert registered.holder is None
    other = await bench.run(bench.workers.register(info("other", slot=""), Manifest("app", {})))
    assert other.holder is None


def info(worker: str, slot: str) -> WorkerInfo:
    return WorkerInfo(worker, slot, "pod-1", 15_000, 1_000, 10, "app", "1.0")
