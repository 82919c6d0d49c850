"""What becomes of a failed task: a table, and the words kept with it."""

from __future__ import annotations

import pytest
from ferryman_worker.outcome import (
    PARKS_MAX,
    DeadLetter,
    Failure,
    Park,
    RetryLater,
    decide,
    describe,
    malformed,
    unknown_name,
)

from ferryman import Backoff, Retry
from ferryman.options import RunSettings

SETTINGS = RunSettings(max_attempts=3, timeout_s=None, backoff=Backoff(initial_s=1, factor=2, max_s=3, jitter=True))


class BadAddress(Exception):
    pass


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("mute")


def failed(error: BaseException, *fatal: type[BaseException]) -> Failure:
    try:
        raise error
    except BaseException as raised:
        return describe(raised, fatal)


@pytest.mark.parametrize(
    ("error", "attempt", "delay_ms", "spend"),
    [
        (ValueError("x"), 1, 1_000, True),
        (ValueError("x"), 2, 2_000, True),
        (KeyboardInterrupt(), 1, 1_000, True),
        (SystemExit(3), 1, 1_000, True),
        (Retry(), 2, 2_000, True),
        (Retry(delay="90s"), 1, 90_000, True),
        (Retry(delay=0, spend=False), 3, 0, False),  # costs nothing, so the last attempt is not used up
    ],
)
def test_a_failure_with_attempts_left_is_retried(
    error: BaseException, attempt: int, delay_ms: int, spend: bool
) -> None:
    verdict = decide(failed(error), attempt, SETTINGS, draw=lambda: 1.0)
    assert isinstance(verdict, RetryLater)
    assert (verdict.delay_ms, verdict.spend) == (delay_ms, spend)


@pytest.mark.parametrize(
    ("failure", "attempt"),
    [
        (failed(ValueError("x")), 3),
        (failed(ValueError("x")), 7),  # max_attempts was lowered meanwhile
        (failed(Retry(delay="1s")), 3),
        (failed(BadAddress("a"), BadAddress), 1),
        (malformed("args: not JSON"), 1),
    ],
)
def test_a_failure_that_cannot_be_cured_is_dead(failure: Failure, attempt: int) -> None:
    assert isinstance(decide(failure, attempt, SETTINGS), DeadLetter)


def test_jitter_draws_between_half_the_backoff_and_all_of_it() -> None:
    low = decide(failed(ValueError()), 1, SETTINGS, draw=lambda: 0.0)
    assert low == RetryLater(500, True, low.error)


def test_the_error_text_tells_what_happened_then_where() -> None:
    text = failed(ValueError("no such user")).text
    assert text.splitlines()[0] == "ValueError: no such user"
    assert "test_worker_outcome.py" in text
    assert "raise error" in text


def test_an_exception_that_cannot_be_printed_still_has_words() -> None:
    assert failed(MuteError()).summary == "MuteError: (its message failed: RuntimeError)"


def test_a_wish_to_retry_keeps_its_reason_and_no_traceback() -> None:
    failure = failed(Retry(reason="rate limit"))
    assert failure.asked
    assert failure.text == "run again after its backoff: rate limit"


def test_an_unknown_name_is_put_aside_with_growing_patience_and_then_dead() -> None:
    verdicts = [unknown_name("send", "q", parks) for parks in range(PARKS_MAX + 1)]
    delays = [verdict.delay_ms for verdict in verdicts if isinstance(verdict, Park)]
    assert delays[:3] == [5_000, 10_000, 20_000]
    assert len(delays) == PARKS_MAX
    assert max(delays) == 60_000
    assert 1_700_000 < sum(delays) < 2_000_000, "about half an hour"
    assert isinstance(verdicts[-1], DeadLetter)
    assert "'send'" in verdicts[-1].error
