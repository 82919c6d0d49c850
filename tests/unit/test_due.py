"""Which occurrences are fired after an outage, by policy and deadline; and that one look is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from ferryman.due import MOST_COUNTED, MOST_FIRED, Due, due, next_fire
from ferryman.occurrences import Timing, occurrences
from ferryman.schedule import Misfire, Schedule

MINUTE = 60_000
NOW = int(datetime.fromisoformat("2026-11-28T12:00:05Z").timestamp() * 1000)
NOON = NOW - 5_000


def every_minute(**fields: object) -> Schedule:
    return Schedule(name="s", task="t", cron="* * * * *", **fields)  # type: ignore[arg-type]


def fired(schedule: Schedule, down_for_ms: int) -> tuple[list[int], int]:
    """Minutes before noon that are fired after an outage, and how many occurrences were missed."""
    found = due(schedule, NOW - down_for_ms, NOW)
    return [(NOON - at) // MINUTE for at in found.fire], found.missed


@pytest.mark.parametrize("misfire", Misfire)
def test_what_is_a_little_late_is_fired_whatever_the_policy(misfire: Misfire) -> None:
    """A scheduler that is restarted misses nothing."""
    assert fired(every_minute(misfire=misfire), 5_001) == ([0], 0)


@pytest.mark.parametrize(
    ("misfire", "deadline_ms", "wanted"),
    [
        ("skip", 0, ([0], 4)),
        ("latest", 0, ([0], 4)),
        ("all", 0, ([4, 3, 2, 1, 0], 0)),
        ("all", 2 * MINUTE, ([1, 0], 3)),
        ("all", 4_000, ([], 5)),
    ],
)
def test_an_outage_that_ends_just_after_an_occurrence(
    misfire: str, deadline_ms: int, wanted: tuple[list[int], int]
) -> None:
    assert fired(every_minute(misfire=Misfire(misfire), deadline_ms=deadline_ms), 5 * MINUTE) == wanted


@pytest.mark.parametrize(
    ("misfire", "deadline_ms", "wanted"),
    [
        ("skip", 0, Due((), 3, NOON)),
        ("latest", 0, Due((NOON,), 2, NOON)),
        ("latest", 20 * MINUTE, Due((), 3, NOON)),
        ("all", 0, Due((NOON - 120 * MINUTE, NOON - 60 * MINUTE, NOON), 0, NOON)),
        ("all", 100 * MINUTE, Due((NOON - 60 * MINUTE, NOON), 1, NOON)),
    ],
)
def test_an_outage_that_ends_in_between(misfire: str, deadline_ms: int, wanted: Due) -> None:
    hourly = Schedule("s", "t", cron="@hourly", misfire=Misfire(misfire), deadline_ms=deadline_ms)
    assert due(hourly, NOON - 130 * MINUTE, NOON + 30 * MINUTE) == wanted


def test_short_intervals_are_all_fired_while_they_are_on_time() -> None:
    """Two of them between two looks are no outage."""
    assert len(due(Schedule("s", "t", every_ms=1_000), NOW - 3_000, NOW).fire) == 3


def test_nothing_has_come() -> None:
    assert due(every_minute(), NOON, NOW) == Due((), 0, None)


def test_a_suspended_schedule_has_nothing_due_and_nothing_next() -> None:
    assert due(every_minute(suspend=True), NOW - 5 * MINUTE, NOW) == Due((), 0, None)
    assert next_fire(every_minute(suspend=True), NOW) is None


@pytest.mark.parametrize(
    "schedule",
    [
        every_minute(misfire=Misfire.ALL),
        Schedule("s", "t", every_ms=1_000, misfire=Misfire.ALL),
        Schedule("s", "t", cron="* 3 * * *", tz="Australia/Lord_Howe", misfire=Misfire.ALL),
    ],
    ids=str,
)
def test_a_year_of_outage_is_one_bounded_look(schedule: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def counted(timing: Timing, after_ms: int) -> Iterator[int]:
        nonlocal made
        for at in occurrences(timing, after_ms):
            made += 1
            yield at

    monkeypatch.setattr("ferryman.occurrences.occurrences", counted)
    monkeypatch.setattr("ferryman.due.occurrences", counted)
    found = due(schedule, NOW - 365 * 24 * 60 * MINUTE, NOW)
    assert made < 5_000
    assert len(found.fire) == MOST_FIRED
    assert found.fire[-1] == found.until_ms
    assert found.missed == MOST_COUNTED


def test_the_latest_of_a_rare_one_is_found_however_long_ago() -> None:
    leap_day = Schedule("s", "t", cron="0 0 29 2 *")
    after = int(datetime.fromisoformat("2019-01-01T00:00Z").timestamp() * 1000)
    latest = int(datetime.fromisoformat("2024-02-29T00:00Z").timestamp() * 1000)
    assert due(leap_day, after, NOW) == Due((latest,), 1, latest)
