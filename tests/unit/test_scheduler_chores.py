"""Promoter, Recoverer and Janitor: one bounded visit of each queue."""

from __future__ import annotations

import pytest
from ferryman_bench import Bench
from ferryman_scheduler.chore import BATCH, LEAST, share
from ferryman_scheduler.janitor import TRIM_EVERY_S, Janitor
from ferryman_scheduler.one_pass import Summaries, pass_over
from ferryman_scheduler.promoter import TICK_S, Promoter
from ferryman_scheduler.recoverer import LOOK_EVERY_S, WORKERS_AT_ONCE, Recoverer


@pytest.fixture
def tally() -> Summaries:
    return Summaries(["bench", "other", "damaged"])


async def test_the_promoter_comes_back_when_the_next_task_is_due(fake_bench: Bench, tally: Summaries) -> None:
    await fake_bench.enqueue("a", delay_ms=100)
    await fake_bench.enqueue("b", delay_ms=150)
    await fake_bench.clock.advance(100)

    visit = await Promoter(tally).visit(fake_bench.link, ["bench", "other"])

    assert tally.by_queue["bench"].promoted == 1
    assert visit.pauses_s == {"bench": pytest.approx(0.05), "other": TICK_S}


async def test_the_promoter_never_sleeps_longer_than_a_tick(fake_bench: Bench, tally: Summaries) -> None:
    """What is enqueued meanwhile may be due sooner."""
    await fake_bench.enqueue("a", delay_ms=3_600_000)

    visit = await Promoter(tally).visit(fake_bench.link, ["bench"])
    assert visit.pauses_s == {"bench": TICK_S}


async def test_the_promoter_comes_back_at_once_while_more_is_due(fake_bench: Bench, tally: Summaries) -> None:
    await fake_bench.enqueue(*(f"t{n}" for n in range(BATCH + 1)), delay_ms=1)
    await fake_bench.clock.advance(5)
    promoter = Promoter(tally)

    assert (await promoter.visit(fake_bench.link, ["bench"])).pauses_s == {"bench": 0.0}
    assert (await promoter.visit(fake_bench.link, ["bench"])).pauses_s == {"bench": TICK_S}
    assert tally.by_queue["bench"].promoted == BATCH + 1


async def test_a_round_trip_is_bounded_however_many_queues_share_it(fake_bench: Bench) -> None:
    """Redis runs a pipeline without a break: in between no worker can beat."""
    queues = [f"q{n}" for n in range(10)]
    for queue in queues:
        bench = Bench(fake_bench.link, fake_bench.clock, queue)
        await bench.enqueue(*(f"t{n}" for n in range(BATCH)), delay_ms=1)
    await fake_bench.clock.advance(5)
    tally = Summaries(queues)

    visit = await Promoter(tally).visit(fake_bench.link, queues)

    assert {summary.promoted for summary in tally.by_queue.values()} == {BATCH // 10}
    assert set(visit.pauses_s.values()) == {0.0}


async def test_a_recovery_storm_is_bounded_in_each_round_trip(fake_bench: Bench, tally: Summaries) -> None:
    for worker in range(WORKERS_AT_ONCE):
        await fake_bench.hold_active(f"w{worker}", *(f"t{worker}-{n}" for n in range(50)))
        await fake_bench.write("ZADD", fake_bench.keys.workers, 0, f"w{worker}")

    visit = await Recoverer(tally).visit(fake_bench.link, ["bench"])

    assert tally.by_queue["bench"].recovered == BATCH
    assert visit.pauses_s == {"bench": 0.0}


def test_every_call_of_a_round_trip_has_a_share_of_the_batch() -> None:
    assert [share(calls) for calls in (0, 1, 2, 10, 1_000)] == [BATCH, BATCH, BATCH // 2, BATCH // 10, LEAST]


async def test_the_recoverer_needs_three_looks(bench: Bench, tally: Summaries) -> None:
    await bench.hold_active("w", "a")
    await bench.hold_active("alive", "b")
    await bench.clock.advance(14_000)
    await bench.run(bench.workers.beat("alive", 15_000))
    await bench.clock.advance(2_000)
    recoverer = Recoverer(tally)

    for _ in range(2):
        visit = await recoverer.visit(bench.link, ["bench"])
        assert recoverer.suspected == {"bench": {"w"}}
        assert visit.pauses_s == {"bench": LOOK_EVERY_S}
        await bench.clock.advance(1_000)
    await recoverer.visit(bench.link, ["bench"])

    assert recoverer.suspected == {"bench": set()}
    assert tally.by_queue["bench"].recovered == 1
    seen = await bench.snapshot()
    assert (seen["waiting"], seen["active:alive"]) == (["a"], ["b"])


async def test_the_recoverer_drains_a_large_worker_over_several_visits(fake_bench: Bench, tally: Summaries) -> None:
    await fake_bench.hold_active("w", *(f"t{n}" for n in range(450)))
    await fake_bench.write("ZADD", fake_bench.keys.workers, 0, "w")
    recoverer = Recoverer(tally)

    pauses = [(await recoverer.visit(fake_bench.link, ["bench"])).pauses_s["bench"] for _ in range(3)]

    assert pauses == [0.0, 0.0, LOOK_EVERY_S]
    assert tally.by_queue["bench"].recovered == 450
    assert (await fake_bench.stats()).waiting == 450


async def test_the_recoverer_takes_lost_hand_overs_back(bench: Bench, tally: Summaries) -> None:
    await bench.enqueue("t")
    await bench.hand()
    recoverer = Recoverer(tally)
    await recoverer.visit(bench.link, ["bench"])
    await bench.clock.advance(2_001)
    await recoverer.visit(bench.link, ["bench"])

    assert tally.by_queue["bench"].handed == 1
    assert (await bench.snapshot())["waiting"] == ["t"]


async def test_the_janitor_comes_back_at_once_while_more_is_over(fake_bench: Bench, tally: Summaries) -> None:
    await fake_bench.finish(*(f"t{n}" for n in range(BATCH + 1)))
    await fake_bench.clock.advance(3_600_001)
    janitor = Janitor(tally)

    assert (await janitor.visit(fake_bench.link, ["bench"])).pauses_s == {"bench": 0.0}
    assert (await janitor.visit(fake_bench.link, ["bench"])).pauses_s == {"bench": TRIM_EVERY_S}
    assert tally.by_queue["bench"].forgotten == BATCH + 1


@pytest.mark.parametrize("chore", [Promoter, Recoverer, Janitor])
async def test_a_damaged_queue_does_not_stop_the_others(
    bench: Bench, tally: Summaries, chore: type[Promoter | Recoverer | Janitor]
) -> None:
    for name in ("delayed", "workers", "completed"):
        await bench.write("SET", f"ferryman:{{damaged}}:{name}", "x")

    visit = await chore(tally).visit(bench.link, ["damaged", "bench"])

    assert visit.refusals.keys() == {"damaged"}
    assert visit.pauses_s.keys() == {"bench"}


async def test_one_worker_that_cannot_be_recovered_does_not_hold_up_the_others(bench: Bench, tally: Summaries) -> None:
    await bench.register("broken")
    await bench.hold_active("w", "t")
    await bench.write("SET", bench.keys.active("broken"), "x")
    for worker in ("broken", "w"):
        await bench.write("ZADD", bench.keys.workers, 0, worker)

    visit = await Recoverer(tally).visit(bench.link, ["bench"])

    assert visit.refusals.keys() == {"bench"}
    assert visit.pauses_s == {"bench": LOOK_EVERY_S}
    assert (await bench.snapshot())["waiting"] == ["t"]
    await bench.write("DEL", bench.keys.active("broken"))


async def test_one_pass_does_everything_and_ends_when_nobody_is_suspected(bench: Bench) -> None:
    await bench.hold_active("w", "a", "b")
    await bench.write("ZADD", bench.keys.workers, 0, "w")
    await bench.finish("done")
    await bench.clock.advance(3_600_001)
    await bench.enqueue("due", delay_ms=1)
    await bench.clock.advance(5)

    [summary, empty] = await pass_over(bench.link, ["bench", "other"])

    assert summary.to_json_dict() == {
        "queue": "bench", "recovered": 2, "to_dead": 0, "handed": 0, "promoted": 1, "fired": 0,
        "forgotten": 1, "discarded": 0, "suspected": 0, "error": "",
    }  # fmt: skip
    assert empty.to_json_dict()["promoted"] == 0


async def test_one_pass_gives_up_in_time_and_says_who_is_still_suspected(bench: Bench) -> None:
    await bench.hold_active("w", "a")
    await bench.clock.advance(15_001)

    [summary] = await pass_over(bench.link, ["bench"], patience_s=0.0)

    assert (summary.suspected, summary.recovered) == (1, 0)


@pytest.mark.parametrize("server_kind", ["valkey"])  # its clock goes on while the pass waits
async def test_one_pass_waits_for_a_worker_that_has_just_fallen_silent(bench: Bench) -> None:
    """The next pass may be a minute away, and that would be the wait of its tasks."""
    await bench.hold_active("w", "a")
    await bench.clock.advance(14_000)

    [summary] = await pass_over(bench.link, ["bench"])

    assert (summary.suspected, summary.recovered) == (0, 1)


async def test_one_pass_tells_which_queue_is_damaged(bench: Bench) -> None:
    await bench.write("SET", "ferryman:{damaged}:delayed", "x")

    [sound, damaged] = await pass_over(bench.link, ["bench", "damaged"])
    assert sound.error == ""
    assert "WRONGTYPE" in damaged.error
