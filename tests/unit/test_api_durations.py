"""Durations, backoff and Retry: pure."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferryman import Backoff, Retry
from ferryman.backoff import retry_delay_ms
from ferryman.durations import duration_ms, format_duration, parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("10s", 10),
        ("1m30s", 90),
        ("1h", 3600),
        ("1.5h", 5400),
        ("30d", 2_592_000),
        ("0s", 0),
        ("10", 10),
        (" 2s ", 2),
        (10, 10),
        (0.25, 0.25),
        (timedelta(minutes=2), 120),
    ],
)
def test_a_duration_is_read_as_seconds(written: Any, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "5x",
        "s",
        "10 s 5",
        "-1s",
        -1,
        "1e9",
        float("nan"),
        float("inf"),
        timedelta(-1),
        True,
        None,
        10**400,
        "9" * 400,
    ],
)
def test_what_is_no_duration_is_refused_with_a_sentence(written: Any) -> None:
    with pytest.raises(ValueError, match=r"write|seconds"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "milliseconds"), [("0.1s", 100), ("1ms", 1), (0.0001, 1), (0, 0), ("1.001s", 1001)]
)
def test_milliseconds_are_whole_and_never_cut_a_wait_short(written: Any, milliseconds: int) -> None:
    assert duration_ms(written) == milliseconds


@given(st.integers(0, 10**12))
@example(274_877_906_943)
def test_a_formatted_duration_reads_back(milliseconds: int) -> None:
    assert duration_ms(format_duration(milliseconds / 1000)) == milliseconds


def test_format_is_short() -> None:
    assert [format_duration(s) for s in (0, 0.5, 90, 86400, 5400)] == ["0s", "500ms", "1m30s", "1d", "1h30m"]


@pytest.mark.parametrize(
    ("attempt", "delay_ms"), [(1, 1000), (2, 2000), (3, 4000), (10, 512_000), (11, 600_000), (5000, 600_000)]
)
def test_backoff_doubles_up_to_its_maximum(attempt: int, delay_ms: int) -> None:
    assert retry_delay_ms(Backoff(jitter=False), attempt) == delay_ms


def test_jitter_draws_between_half_and_all() -> None:
    assert [retry_delay_ms(Backoff(), 1, draw=iter([x]).__next__) for x in (0.0, 0.5, 1.0)] == [500, 750, 1000]


@pytest.mark.parametrize(
    "wrong", [{"initial_s": -1}, {"factor": 0.5}, {"max_s": float("inf")}, {"factor": float("nan")}]
)
def test_a_senseless_backoff_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="backoff"):
        Backoff(**wrong)  # type: ignore[arg-type]


def test_retry_says_when_and_survives_a_process_pool() -> None:
    retry = pickle.loads(pickle.dumps(Retry(delay="1m", spend=False, reason="rate limit")))
    assert (retry.delay_s, retry.spend, retry.reason) == (60, False, "rate limit")
    assert str(retry) == "run again in 60 s: rate limit"
    assert Retry().delay_s is None
    with pytest.raises(ValueError, match="not a duration"):
        Retry(delay="soon")
