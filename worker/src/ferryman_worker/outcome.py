"""Outcome: what becomes of a task after its run. Pure.

A failure is described first (by whoever saw the exception: the worker, or a child process that can only send
words), then decided on: active -> delayed while attempts are left, active -> dead after that. What the handler
itself asks for (`Retry`, `dead_letter_on`) goes before the count. A process that died under its task is no failure
of a run but a crash: it spends the crash budget, and the script decides (active -> waiting or dead).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Final

import msgspec

from ferryman.backoff import retry_delay_ms
from ferryman.errors import FerrymanError
from ferryman.options import RunSettings
from ferryman.retry import Retry
from ferryman_worker.versions import Able

#: What no living worker can run is put aside this often, then it is dead: about half an hour, a rolling deploy.
PARKS_MAX: Final = 33
_PARK_FIRST_MS: Final = 5_000
_PARK_LONGEST_MS: Final = 60_000
#: What a living worker can run comes back soon: half a second, and longer for one that met the wrong workers before.
_PASS_ON_FIRST_MS: Final = 500
_PASS_ON_LONGEST_MS: Final = 10_000
#: A schema may promise what its handler refuses all the same: so many fetches, some hours, then parks are counted.
_PASSED_ON_MAX: Final = 1_000
_TRACEBACK_CHARS: Final = 3_000
_NO_CHILD_DELAY_S: Final = 5.0


class TimedOut(FerrymanError):
    """A run took longer than its timeout and was stopped."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"ran longer than its timeout of {timeout_s:g} s")
        self.timeout_s = timeout_s


class ChildDied(FerrymanError):
    """The child process that ran a task ended before the task did: a crash, of that task alone."""


class NoChild(FerrymanError):
    """No process could be started for a task, for want of memory or pids. It did not run, and is not to blame."""


class NurseryGone(FerrymanError):
    """The process that forks children has ended, and with it all of them: the worker stops, its tasks go back."""


class Failure(msgspec.Struct, frozen=True):
    """A failed run in words. `text` is kept with the task: what happened, then where."""

    summary: str
    text: str
    final: bool = False  # no attempt can help
    asked: bool = False  # the handler raised Retry: a wish, not an error
    delay_s: float | None = None  # the wish's delay; None = the task's backoff
    spend: bool = True


class RetryLater(msgspec.Struct, frozen=True):
    """Active -> delayed."""

    delay_ms: int
    spend: bool
    error: str


class DeadLetter(msgspec.Struct, frozen=True):
    """Active -> dead."""

    error: str


class Park(msgspec.Struct, frozen=True):
    """Active -> delayed, no attempt spent: another worker may be able to run it. `counted` spends one of its parks."""

    delay_ms: int
    error: str
    counted: bool = True


class Crash(msgspec.Struct, frozen=True):
    """Active -> front of waiting, or dead when the crash budget is spent."""

    reason: str


Verdict = RetryLater | DeadLetter | Park | Crash


def describe(error: BaseException, dead_letter_on: tuple[type[BaseException], ...] = ()) -> Failure:
    """What the handler's exception says, with the handler's own frames."""
    if isinstance(error, Retry):
        return Failure(str(error), str(error), asked=True, delay_s=error.delay_s, spend=error.spend)
    name = type(error).__qualname__
    said = _said(error)
    summary = f"{name}: {said}" if said else name
    return Failure(summary, f"{summary}\n{_where(error)}".rstrip(), final=isinstance(error, dead_letter_on))


def malformed(problem: str) -> Failure:
    """What was enqueued can't be read; running it again can't help."""
    return Failure(problem, problem, final=True)


def not_started(error: NoChild) -> Failure:
    """It never ran; there may be room for a process later."""
    return Failure(str(error), str(error), delay_s=_NO_CHILD_DELAY_S, spend=False)


def decide(
    failure: Failure, attempt: int, settings: RunSettings, draw: Callable[[], float] | None = None
) -> RetryLater | DeadLetter:
    """What becomes of a task whose run number `attempt` failed."""
    if failure.final:
        return DeadLetter(failure.text)
    if failure.spend and attempt >= settings.max_attempts:
        return DeadLetter(f"{failure.text}\n(attempt {attempt} of {settings.max_attempts}: the last)")
    if failure.delay_s is not None:
        delay_ms = round(failure.delay_s * 1_000)
    elif draw is None:
        delay_ms = retry_delay_ms(settings.backoff, attempt)
    else:
        delay_ms = retry_delay_ms(settings.backoff, attempt, draw)
    return RetryLater(delay_ms, failure.spend, failure.text)


def unknown_name(name: str, queue: str, parks: int, able: Able = Able.NONE, deliveries: int = 1) -> Park | DeadLetter:
    """What becomes of a task whose name no handler here knows, put aside `parks` times before."""
    error = f"no handler named {name!r} in queue {queue!r}"
    if able is Able.LIVING:
        return _passed_on(error, deliveries)
    if parks >= PARKS_MAX:
        return DeadLetter(f"{error}, and none came in {parks} tries")
    return _put_aside(error, parks)


def unfit(problem: str, parks: int, able: Able, deliveries: int) -> Park | None:
    """What becomes of a task whose arguments don't fit the handler here; None when no other version fits either."""
    if able is Able.LIVING and deliveries < _PASSED_ON_MAX:
        return _passed_on(problem, deliveries)
    if able is Able.NONE or parks >= PARKS_MAX:
        return None
    return _put_aside(problem, parks)


def _passed_on(error: str, deliveries: int) -> Park:
    delay_ms = min(_PASS_ON_FIRST_MS << min(deliveries - 1, 10), _PASS_ON_LONGEST_MS)
    return Park(delay_ms, f"{error}; it waits for a worker of another version, which can run it", counted=False)


def _put_aside(error: str, parks: int) -> Park:
    delay_ms = min(_PARK_FIRST_MS << min(parks, 10), _PARK_LONGEST_MS)
    return Park(delay_ms, f"{error}; it waits for a version that can run it ({parks + 1} of {PARKS_MAX} tries)")


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  (an exception's __str__ is user code too)
        return f"(its message failed: {type(broken).__name__})"


def _where(error: BaseException) -> str:
    """The traceback from the handler's first frame on, its end when it is long."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if "ferryman_worker" not in frame.filename), len(frames))
    text = "".join(traceback.format_list(frames[first:]))
    return text if len(text) <= _TRACEBACK_CHARS else "...\n" + text[-_TRACEBACK_CHARS:]
