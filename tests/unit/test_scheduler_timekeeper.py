"""Timekeeper: fires what has come, comes back when the next occurrence is due, and never stops for one bad schedule."""

from __future__ import annotations

import msgspec
import pytest
from ferryman_bench import Bench
from ferryman_scheduler.chore import BATCH, LEAST
from ferryman_scheduler.metrics import Metrics
from ferryman_scheduler.one_pass import pass_over
from ferryman_scheduler.timekeeper import TICK_S, Timekeeper

from ferryman.schedule import Misfire, Schedule
from ferryman.timetable import Timetable

EVERY = Schedule("beat", "echo", every_ms=10_000)


class Count:
    """A tally that remembers."""

    def __init__(self) -> None:
        self.fires: list[tuple[str, int]] = []
        self.misses: list[tuple[str, int, str]] = []

    def promoted(self, queue: str, count: int, lag_ms: int) -> None: ...
    def recovered(self, queue: str, waiting: int, dead: int, cause: object) -> None: ...
    def handed_back(self, queue: str, count: int) -> None: ...
    def trimmed(self, queue: str, completed: int, dead: int) -> None: ...

    def fired(self, queue: str, lag_ms: int) -> None:
        self.fires.append((queue, lag_ms))

    def missed(self, queue: str, count: int, why: str) -> None:
        self.misses.append((queue, count, why))


@pytest.fixture
def count() -> Count:
    return Count()


async def publish(bench: Bench, *schedules: Schedule) -> None:
    await bench.run(Timetable(bench.name).publish(schedules))


async def waiting(bench: Bench) -> int:
    return (await bench.stats()).waiting


async def to_the_next(bench: Bench, every_ms: int = 10_000) -> None:
    """The clock stands a second after the next occurrence."""
    now = (await bench.stats()).now_ms
    await bench.clock.advance(every_ms - now % every_ms + 1_000)


async def test_it_fires_what_has_come_and_comes_back_for_the_next(fake_bench: Bench, count: Count) -> None:
    keeper = Timekeeper(count)
    await publish(fake_bench, EVERY)
    await to_the_next(fake_bench)
    visit = await keeper.visit(fake_bench.link, ["bench", "other"])
    assert visit.pauses_s == {"bench": TICK_S, "other": TICK_S}
    assert await waiting(fake_bench) == 0, "what came before it began does not count"

    await fake_bench.clock.advance(8_700)
    assert (await keeper.visit(fake_bench.link, ["bench"])).pauses_s == {"bench": pytest.approx(0.3)}
    await fake_bench.clock.advance(305)
    await keeper.visit(fake_bench.link, ["bench"])
    assert await waiting(fake_bench) == 1
    assert count.fires == [("bench", 5)]
    assert count.misses == []


async def test_several_schedulers_fire_each_occurrence_once(fake_bench: Bench, count: Count) -> None:
    """Each has computed the same; one of them is a little late, and one has been away for long."""
    await publish(fake_bench, EVERY)
    keepers = [Timekeeper(count) for _ in range(3)]
    for keeper in keepers:
        await keeper.visit(fake_bench.link, ["bench"])
    for _ in range(5):
        await fake_bench.clock.advance(10_000)
        for keeper in keepers[:2]:
            await keeper.visit(fake_bench.link, ["bench"])
    await keepers[2].visit(fake_bench.link, ["bench"])
    assert await waiting(fake_bench) == len(count.fires) == 5


async def test_an_outage_is_counted_once(fake_bench: Bench, count: Count) -> None:
    await publish(fake_bench, EVERY)
    keepers = [Timekeeper(count), Timekeeper(count)]
    await keepers[0].visit(fake_bench.link, ["bench"])
    await to_the_next(fake_bench, 600_000)
    for keeper in keepers:
        await keeper.visit(fake_bench.link, ["bench"])
    assert len(count.fires) == 1
    [(_, missed, why)] = count.misses
    assert (await fake_bench.stats()).enqueued == 1
    assert (missed > 0, why) == (True, "late")


async def test_a_catch_up_is_bounded_in_each_round_trip_and_goes_on_at_once(fake_bench: Bench, count: Count) -> None:
    keeper = Timekeeper(count)
    await publish(fake_bench, msgspec.structs.replace(EVERY, every_ms=1_000, misfire=Misfire.ALL))
    await keeper.visit(fake_bench.link, ["bench"])
    await fake_bench.clock.advance(3_600_000)
    queues = ["bench", *(f"q{n}" for n in range(BATCH // LEAST - 1))]
    visit = await keeper.visit(fake_bench.link, queues)
    assert (await waiting(fake_bench), visit.pauses_s["bench"]) == (LEAST, 0.0)
    while (await keeper.visit(fake_bench.link, ["bench"])).pauses_s["bench"] == 0.0:
        pass
    assert await waiting(fake_bench) == 100


async def test_what_cannot_be_fired_here_holds_up_nothing_else(
    fake_bench: Bench, count: Count, caplog: pytest.LogCaptureFixture
) -> None:
    """A time zone that only a newer image knows."""
    keeper = Timekeeper(count)
    await publish(fake_bench, EVERY, Schedule("mars", "echo", cron="@daily", tz="Mars/Olympus"))
    for _ in range(3):
        await keeper.visit(fake_bench.link, ["bench"])
        await fake_bench.clock.advance(10_000)
    assert await waiting(fake_bench) == len(count.fires) == 2
    assert [record.message for record in caplog.records if "mars" in record.message] == [
        "mars can't be fired here: tz: there is no time zone 'Mars/Olympus'; write it like 'Europe/Berlin' or 'UTC'"
    ]


async def test_a_redis_that_refuses_is_not_asked_without_a_pause(fake_bench: Bench, count: Count) -> None:
    keeper = Timekeeper(count)
    await publish(fake_bench, EVERY)
    await keeper.visit(fake_bench.link, ["bench"])
    await fake_bench.clock.advance(10_000)
    await fake_bench.write("HSET", fake_bench.keys.config, "protocol", 9)
    visit = await keeper.visit(fake_bench.link, ["bench"])
    assert visit.pauses_s == {"bench": TICK_S}
    assert "upgrade" in str(visit.refusals["bench"])


async def test_what_is_damaged_is_named(fake_bench: Bench, count: Count) -> None:
    await fake_bench.write("HSET", fake_bench.keys.schedules, "operator", "{")
    visit = await Timekeeper(count).visit(fake_bench.link, ["bench"])
    assert "operator" in str(visit.refusals["bench"])
    assert visit.pauses_s == {"bench": TICK_S}


async def test_the_next_occurrence_counts_as_due_soon(fake_bench: Bench, count: Count) -> None:
    keeper = Timekeeper(count)
    await publish(fake_bench, Schedule("hourly", "echo", every_ms=3_600_000))
    await to_the_next(fake_bench, 3_600_000)
    for _ in range(2):
        await keeper.visit(fake_bench.link, ["bench"])
    assert (await fake_bench.stats()).due_soon == 0
    await fake_bench.clock.advance(3_590_000)
    assert (await fake_bench.stats()).due_soon == 1


async def test_one_pass_fires_too(fake_bench: Bench) -> None:
    """The recovery CronJob, when all else is down."""
    await publish(fake_bench, EVERY)
    await pass_over(fake_bench.link, ["bench"])
    await fake_bench.clock.advance(60_000)
    [summary] = await pass_over(fake_bench.link, ["bench"])
    assert summary.fired == 1


async def test_metrics_tell_of_fires_and_misses() -> None:
    metrics = Metrics()
    metrics.promoted("bench", 0, 0)
    metrics.fired("bench", 250)
    metrics.missed("bench", 3, "late")
    text = metrics.text().decode()
    assert 'ferryman_schedule_fired_total{queue="bench"} 1.0' in text
    assert 'ferryman_schedule_missed_total{queue="bench",why="late"} 3.0' in text
    assert 'ferryman_schedule_missed_total{queue="bench",why="overlap"} 0.0' in text
    assert 'ferryman_schedule_lag_seconds{queue="bench"} 0.25' in text
