"""When a schedule is due: cron lines in zones whose clocks jump, intervals, leap days, lines that never come true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman.errors import InvalidTask
from ferryman.occurrences import Dst, Timing, between, checked, next_after, occurrences

#: Zone, the two days of 2026 on which its clock jumps: forward, back.
JUMPS = [
    ("Europe/Berlin", "2026-03-29", "2026-10-25"),
    ("America/New_York", "2026-03-08", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04", "2026-04-05"),  # by half an hour
    ("America/St_Johns", "2026-03-08", "2026-11-01"),  # half an hour off the others
    ("Africa/Cairo", "2026-04-24", "2026-10-29"),  # at midnight: the day begins at 01:00, or ends twice
    ("Pacific/Chatham", "2026-09-27", "2026-04-05"),  # quarter hours
    ("America/Santiago", "2026-09-06", "2026-04-04"),
]


def ms(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


def local(timing: Timing, after: str, until: str) -> list[str]:
    """The occurrences of local days, as its clock shows them, with the offset."""
    zone = ZoneInfo(timing.tz)
    start, end = (datetime.fromisoformat(day).replace(tzinfo=zone) for day in (after, until))
    found = between(timing, int(start.timestamp() * 1000) - 1, int(end.timestamp() * 1000) - 1)
    return [datetime.fromtimestamp(at / 1000, zone).strftime("%d %H:%M %z") for at in found]


@pytest.mark.parametrize(
    ("dst", "spring", "autumn"),
    [
        ("skip", [], ["25 02:30 +0200"]),
        ("once", ["29 03:00 +0200"], ["25 02:30 +0200"]),
        ("twice", [], ["25 02:30 +0200", "25 02:30 +0100"]),
    ],
)
def test_a_time_that_the_clock_skips_or_shows_twice(dst: str, spring: list[str], autumn: list[str]) -> None:
    timing = Timing("30 2 * * *", tz="Europe/Berlin", dst=Dst(dst))
    assert local(timing, "2026-03-29", "2026-03-30") == spring
    assert local(timing, "2026-10-25", "2026-10-26") == autumn


@pytest.mark.parametrize(
    ("dst", "spring", "autumn"),
    [
        ("skip", [], ["05 01:45 +1100"]),
        ("once", ["04 02:30 +1100"], ["05 01:45 +1100"]),
        ("twice", [], ["05 01:45 +1100", "05 01:45 +1030"]),
    ],
)
def test_a_clock_that_jumps_by_half_an_hour(dst: str, spring: list[str], autumn: list[str]) -> None:
    assert local(Timing("15 2 * * *", 0, "Australia/Lord_Howe", Dst(dst)), "2026-10-04", "2026-10-05") == spring
    assert local(Timing("45 1 * * *", 0, "Australia/Lord_Howe", Dst(dst)), "2026-04-05", "2026-04-06") == autumn


def test_a_midnight_that_does_not_exist_is_the_first_moment_of_the_day() -> None:
    timing = Timing("@daily", tz="Africa/Cairo")
    assert local(timing, "2026-04-23T12:00", "2026-04-25") == ["24 01:00 +0300"]


def test_many_skipped_times_are_one_occurrence() -> None:
    timing = Timing("*/10 2 * * *", tz="Europe/Berlin")
    assert local(timing, "2026-03-29", "2026-03-30") == ["29 03:00 +0200"]


def test_times_that_come_twice_keep_their_order() -> None:
    timing = Timing("0,30 2,3 * * *", tz="Europe/Berlin", dst=Dst.TWICE)
    assert local(timing, "2026-10-25", "2026-10-26") == [
        *("25 02:00 +0200", "25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100", "25 03:00 +0100", "25 03:30 +0100")
    ]


@pytest.mark.parametrize(("zone", "forward", "back"), JUMPS)
@pytest.mark.parametrize("minutes", [10, 15, 30])
def test_what_comes_every_few_minutes_neither_pauses_nor_hurries(
    zone: str, forward: str, back: str, minutes: int
) -> None:
    """The jumps of these zones are multiples of the interval."""
    timing = Timing(f"*/{minutes} * * * *", tz=zone)
    for day in (forward, back):
        around = ms(f"{day}T00:00Z")
        found = between(timing, around - 36 * 3_600_000, around + 36 * 3_600_000)
        assert {later - earlier for earlier, later in pairwise(found)} == {minutes * 60_000}


@pytest.mark.parametrize(("zone", "forward", "back"), JUMPS)
@pytest.mark.parametrize("dst", Dst)
def test_a_daily_time_through_a_whole_year(zone: str, forward: str, back: str, dst: Dst) -> None:
    """Times of the day, on each day of the year: only those that a jump concerns differ, as it was asked for."""
    tz = ZoneInfo(zone)
    for wall in (timedelta(hours=hour, minutes=minute) for hour in (0, 1, 2, 12) for minute in (0, 45)):
        hour, minute = divmod(int(wall.total_seconds()) // 60, 60)
        timing = Timing(f"{minute} {hour} * * *", tz=zone, dst=dst)
        start = int(datetime(2026, 1, 1, tzinfo=tz).timestamp() * 1000) - 1
        end = int(datetime(2027, 1, 1, tzinfo=tz).timestamp() * 1000) - 1
        days = [datetime.fromtimestamp(at / 1000, tz) for at in between(timing, start, end)]
        missing = {forward} if not _exists(forward, wall, tz) else set()
        twice = {back} if _comes_twice(back, wall, tz) else set()
        counts = {day.strftime("%Y-%m-%d"): 0 for day in _days()}
        for shown in days:
            counts[shown.strftime("%Y-%m-%d")] += 1
        for day, count in counts.items():
            wanted = 2 if day in twice and dst is Dst.TWICE else 0 if day in missing and dst is not Dst.ONCE else 1
            assert count == wanted, f"{timing} on {day}: {count}"


def _days() -> list[datetime]:
    return [datetime(2026, 1, 1) + timedelta(days=n) for n in range(365)]  # noqa: DTZ001


def _exists(day: str, wall: timedelta, tz: ZoneInfo) -> bool:
    shown = (datetime.fromisoformat(day) + wall).replace(tzinfo=tz)
    return shown.astimezone(UTC).astimezone(tz).replace(tzinfo=None) == shown.replace(tzinfo=None)


def _comes_twice(day: str, wall: timedelta, tz: ZoneInfo) -> bool:
    shown = (datetime.fromisoformat(day) + wall).replace(tzinfo=tz)
    return _exists(day, wall, tz) and shown.utcoffset() != shown.replace(fold=1).utcoffset()


@given(
    zone=st.sampled_from([zone for zone, *_ in JUMPS]),
    cron=st.sampled_from(["30 2 * * *", "*/15 1-3 * * *", "0 0 * * *", "*/20 * * * *", "45 1,23 * * 0"]),
    dst=st.sampled_from(Dst),
    start=st.integers(ms("2026-01-01T00:00Z"), ms("2026-12-31T00:00Z")),
    length=st.integers(0, 5),
)
def test_where_one_begins_to_look_makes_no_difference(zone: str, cron: str, dst: Dst, start: int, length: int) -> None:
    """A scheduler asks from the last occurrence on, another one from somewhere in between."""
    timing = Timing(cron, tz=zone, dst=dst)
    found = list(islice(occurrences(timing, start), 12))
    assert found == sorted(set(found))
    assert found[0] > start
    assert list(islice(occurrences(timing, found[length]), 11 - length)) == found[length + 1 :]
    assert next_after(timing, found[length] - 1) == found[length]


@pytest.mark.parametrize(
    ("cron", "wanted"),
    [
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("0 0 31 * *", ["2026-12-31", "2027-01-31", "2027-03-31"]),
        ("0 0 L * *", ["2026-11-30", "2026-12-31", "2027-01-31"]),
        ("0 0 L 2 *", ["2027-02-28", "2028-02-29", "2029-02-28"]),
        ("0 0 * * MON#1", ["2026-12-07", "2027-01-04", "2027-02-01"]),
        ("0 0 1 1 *", ["2027-01-01", "2028-01-01", "2029-01-01"]),
        ("@monthly", ["2026-12-01", "2027-01-01", "2027-02-01"]),
    ],
)
def test_leap_days_and_the_ends_of_months(cron: str, wanted: list[str]) -> None:
    found = islice(occurrences(checked(Timing(cron)), ms("2026-11-28T12:00Z")), 3)
    assert [datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d") for at in found] == wanted


def test_a_leap_day_is_not_every_fourth_year() -> None:
    assert next_after(Timing("0 0 29 2 *"), ms("2096-03-01T00:00Z")) == ms("2104-02-29T00:00Z")


@pytest.mark.parametrize(
    ("timing", "field", "words"),
    [
        (Timing("0 0 30 2 *"), "cron", "never comes"),
        (Timing("0 0 31 2,4,6,9,11 *"), "cron", "never comes"),
        (Timing("0 0 32 1 *"), "cron", "day-of-month"),
        (Timing("0 0 */20 * 1L"), "cron", "never comes"),
        (Timing("61 * * * *"), "cron", "minute"),
        (Timing("* * * * * *"), "cron", "6 fields"),
        (Timing("@reboot"), "cron", "1 fields"),
        (Timing(""), "cron", "one of the two"),
        (Timing("* * * * *", 1_000), "cron", "one of the two"),
        (Timing(every_ms=999), "every", "1s"),
        (Timing("* * * * *", tz="Europe/Atlantis"), "tz", "Europe/Atlantis"),
        (Timing("* * * * *", tz="../etc/passwd"), "tz", "no time zone"),
        (Timing("* * * * *", tz=""), "tz", "no time zone"),
    ],
)
def test_what_can_never_be_is_refused_with_its_field(timing: Timing, field: str, words: str) -> None:
    with pytest.raises(InvalidTask, match=words) as refused:
        checked(timing)
    assert refused.value.field == field


def test_an_interval_counts_from_1970_so_that_all_schedulers_agree() -> None:
    timing = Timing(every_ms=7_000)
    assert list(islice(occurrences(timing, 20_999), 3)) == [21_000, 28_000, 35_000]
    assert list(islice(occurrences(timing, 21_000), 2)) == [28_000, 35_000]
