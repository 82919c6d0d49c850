"""Options: what may be decided per enqueue, and whose word counts when several decide.

Precedence: enqueue option > decorator > TaskQueue (its policy in Redis) > built-in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypedDict, TypeVar, Unpack

import msgspec

from ferryman.backoff import Backoff
from ferryman.durations import Duration, duration_ms, parse_duration
from ferryman.errors import InvalidTask
from ferryman.headers import checked_headers
from ferryman.ids import new_task_id
from ferryman.lanes import check_lane
from ferryman.new_task import NewTask, check_new_task
from ferryman.terms import NO_TERMS, Terms
from ferryman.uniqueness import UniqueFor, unique_terms

V = TypeVar("V")
W = TypeVar("W")

#: More attempts than this is taken for a mistake.
MAX_ATTEMPTS_LIMIT: Final = 1_000_000


class EnqueueKwargs(TypedDict, total=False):
    """The keyword arguments that `Handler.options`, `Queue.enqueue` and their relatives accept."""

    delay: Duration | None  # run after this long; a number is seconds
    at: datetime | str | None  # run at this moment: with a time zone, or ISO 8601 text with one
    priority: int  # higher runs earlier; 0 = the common line
    unique: str  # no second task with this key until this one has completed, died or been discarded
    unique_for: UniqueFor | None  # "while_waiting": only until a worker has fetched it
    throttle: Duration | None  # with unique: at most one task in so long, whatever becomes of it
    debounce: Duration | None  # with unique: runs when so long no other came; the last one's arguments count
    lane: str | None  # whose turn it takes, such as a tenant's; see limits of the queue
    id: str  # the idempotency key; random unless given
    max_attempts: int | None
    timeout: Duration | None
    backoff: Backoff | None
    keep_result: Duration | None  # how long its result can be had; 0 = it is not kept
    expires: Duration | None  # from now on; then no worker runs it any more
    headers: Mapping[str, str] | None  # travel with the task: trace context, and what middlewares add


class TaskOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one layer says about running a task; None leaves it to the next layer.

    Travels with the task as JSON, and only when it says something. Fields of a newer version are ignored.
    """

    max_attempts: int | None = None
    timeout_s: float | None = None
    backoff: Backoff | None = None
    headers: dict[str, str] | None = None  # of the task itself: no other layer has any
    keep_result_s: float | None = None  # 0 = it is not kept
    binds: dict[str, str | list[str]] | None = None  # parameter -> id(s) whose results it takes; of a workflow's node

    def encode(self) -> bytes:
        """The JSON for a task's `options` field; empty when nothing is said."""
        return b"" if self == _SILENT else _encode(self)

    @classmethod
    def decode(cls, options: bytes | None) -> TaskOptions:
        """The inverse of encode. Raises InvalidTask when it is not such a JSON object."""
        if not options:
            return _SILENT
        try:
            return _decoder.decode(options)
        except (msgspec.MsgspecError, ValueError) as error:
            raise InvalidTask("options", f"can't be decoded: {error}") from error

    def with_headers(self, headers: Mapping[str, str]) -> TaskOptions:
        """The same with these headers. Raises InvalidTask naming the one that can't travel."""
        return msgspec.structs.replace(self, headers=checked_headers(headers) or None)


def headers_of(options: bytes) -> dict[str, str]:
    """The headers in a task's encoded options; none when those can't be read."""
    try:
        return TaskOptions.decode(options).headers or {}
    except InvalidTask:
        return {}


_SILENT: Final = TaskOptions()
_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(TaskOptions)


class RunSettings(msgspec.Struct, frozen=True):
    """How a task is run, once all layers have spoken. `timeout_s` None = no limit."""

    max_attempts: int
    timeout_s: float | None
    backoff: Backoff
    keep_result_ms: int = 0  # 0 = it is not kept


BUILT_IN: Final = RunSettings(max_attempts=5, timeout_s=None, backoff=Backoff())


def resolve(*layers: TaskOptions) -> RunSettings:
    """Let the first layer that speaks decide each setting; what nobody mentions is built in."""
    attempts = next((o.max_attempts for o in layers if o.max_attempts is not None), BUILT_IN.max_attempts)
    timeout_s = next((o.timeout_s for o in layers if o.timeout_s is not None), BUILT_IN.timeout_s)
    backoff = next((o.backoff for o in layers if o.backoff is not None), BUILT_IN.backoff)
    keep_s = next((o.keep_result_s for o in layers if o.keep_result_s is not None), 0.0)
    return RunSettings(attempts, timeout_s, backoff, round(keep_s * 1000))


class EnqueueOptions(msgspec.Struct, frozen=True):
    """Enqueue options after checking, in the units that Redis gets. `id` is empty when it is to be made."""

    id: str = ""
    delay_ms: int = 0
    run_at_ms: int = 0  # epoch; 0 = none
    priority: int = 0
    unique: str = ""
    task: TaskOptions = _SILENT
    encoded: bytes = b""  # `task`, as it travels
    terms: Terms = NO_TERMS

    @classmethod
    def of(cls, **options: Unpack[EnqueueKwargs]) -> EnqueueOptions:
        """Check what a caller gave. Raises InvalidTask naming the option."""
        given_delay, given_at = options.get("delay"), options.get("at")
        if given_delay is not None and given_at is not None:
            raise InvalidTask("at", "delay and at exclude each other; give one")
        task = task_options(
            options.get("max_attempts"), options.get("timeout"), options.get("backoff"), options.get("keep_result")
        )
        if headers := options.get("headers"):
            task = task.with_headers(headers)
        unique = _text("unique", options.get("unique", ""))
        timed = given_delay is not None or given_at is not None
        terms = unique_terms(unique, options.get("unique_for"), options.get("throttle"), options.get("debounce"), timed)
        if (lane := options.get("lane")) is not None:
            terms = msgspec.structs.replace(terms, lane=check_lane(lane))
        if task.keep_result_s:
            terms = msgspec.structs.replace(terms, keep=True)
        if (expires := options.get("expires")) is not None:
            terms = msgspec.structs.replace(terms, expires_ms=expires_in_ms(expires))
        checked = cls(
            id=_text("id", options.get("id", "")),
            delay_ms=0 if given_delay is None else _checked("delay", duration_ms, given_delay),
            run_at_ms=0 if given_at is None else _checked("at", moment_ms, given_at),
            priority=_whole("priority", options.get("priority", 0)),
            unique=unique,
            task=task,
            encoded=task.encode(),
            terms=terms,
        )
        if terms.expires_ms and checked.delay_ms >= terms.expires_ms:
            raise InvalidTask("expires", "it would have expired before its delay is over; both count from the enqueue")
        check_new_task(checked.new_task("any", b"{}"))
        return checked

    def over(self, keep_result_s: float | None, expires_ms: int) -> EnqueueOptions:
        """These, and what the decorator says where they say nothing."""
        keep = self.terms.keep or bool(keep_result_s and self.task.keep_result_s is None)
        terms = msgspec.structs.replace(self.terms, keep=keep, expires_ms=self.terms.expires_ms or expires_ms)
        return self if terms == self.terms else msgspec.structs.replace(self, terms=terms)

    def new_task(self, name: str, args: bytes, task_id: str = "", terms: Terms | None = None) -> NewTask:
        """The task to enqueue: `args` is a JSON object. Its id is random unless `task_id` or the options name one.

        `terms` count instead of the options' own, when the handler has added to them.
        """
        if terms is None:
            terms = self.terms
        return NewTask(
            task_id or self.id or new_task_id(),
            name,
            args,
            self.encoded,
            self.delay_ms,
            self.run_at_ms,
            self.priority,
            self.unique,
            b"" if terms is NO_TERMS else terms.encode(),
        )


#: For the common call, which has none.
NO_OPTIONS: Final = EnqueueOptions()


def task_options(
    max_attempts: int | None = None,
    timeout: Duration | None = None,
    backoff: Backoff | None = None,
    keep_result: Duration | None = None,
) -> TaskOptions:
    """Check the options that the enqueue and the decorator share. Raises InvalidTask naming the option."""
    if max_attempts is not None and not 1 <= _whole("max_attempts", max_attempts) <= MAX_ATTEMPTS_LIMIT:
        raise InvalidTask("max_attempts", f"{max_attempts} is not from 1 to {MAX_ATTEMPTS_LIMIT}")
    timeout_s = None if timeout is None else _checked("timeout", parse_duration, timeout)
    if timeout_s == 0:
        raise InvalidTask("timeout", "0 would stop every run at once; leave it out for no limit")
    if backoff is not None and not isinstance(backoff, Backoff):
        raise InvalidTask("backoff", f"{backoff!r} is not a Backoff; write Backoff(initial_s=1, max_s=600)")
    keep_s = None if keep_result is None else _checked("keep_result", parse_duration, keep_result)
    return TaskOptions(max_attempts, timeout_s, backoff, keep_result_s=keep_s)


def expires_in_ms(expires: Duration) -> int:
    """Check a deadline, which counts from the enqueue. Raises InvalidTask."""
    ms = _checked("expires", duration_ms, expires)
    if not ms:
        raise InvalidTask("expires", "0 would expire at once; leave it out for no deadline")
    return ms


def moment_ms(at: datetime | str) -> int:
    """Return a moment as epoch milliseconds. Raises ValueError without a time zone, or before 1970."""
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            raise ValueError(f"{at!r} is not ISO 8601; write it like '2030-01-31T08:00:00+01:00'") from None
    if not isinstance(at, datetime):
        raise ValueError(f"{at!r} is not a datetime")
    if at.utcoffset() is None:
        raise ValueError(f"{at.isoformat()} has no time zone; add one, such as Z or +01:00")
    run_at_ms = round(at.timestamp() * 1000)
    if run_at_ms <= 0:
        raise ValueError(f"{at.isoformat()} lies before 1970")
    return run_at_ms


def _checked(option: str, convert: Callable[[V], W], value: V) -> W:
    try:
        return convert(value)
    except (ValueError, OverflowError) as error:
        raise InvalidTask(option, str(error)) from None


def _whole(option: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTask(option, f"{value!r} is not a whole number")
    return value


def _text(option: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidTask(option, f"{value!r} is not a text")
    return value
