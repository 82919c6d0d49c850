"""Handler: a function registered under a task's name; what `@queue.task` leaves in the function's place."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, TypeVar, Unpack

from ferryman.arguments import Arguments
from ferryman.backoff import Backoff
from ferryman.errors import InvalidTask
from ferryman.lanes import LaneSpec, lane_of
from ferryman.manifest import TaskManifest
from ferryman.options import NO_OPTIONS, EnqueueKwargs, EnqueueOptions, TaskOptions
from ferryman.protocol import PROTOCOL
from ferryman.schedule import Cron, of_handler
from ferryman.sender import Sender
from ferryman.signature import InvalidHandler, Signature
from ferryman.task import check_task_name
from ferryman.version import __version__

if TYPE_CHECKING:
    from ferryman.queue import Queue

P = ParamSpec("P")
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True)

#: Where a handler runs: in the worker's event loop, in one of its threads, or in a process that can be killed.
RunIn = Literal["loop", "thread", "process"]

_NO_TIMEOUT: Final = "a thread can't be killed, so a timeout would promise what it can't keep; use run_in='process'"


class Handler(Sender[P, R_co], Generic[P, Q, R_co]):
    """Calling it calls the function; `P` is what producers give, `Q` what the function takes, `R_co` its return.

    `defaults` is what the decorator said; None in it leaves a setting to the queue's policy. Raises
    InvalidHandler when the function or an option can't work.
    """

    def __init__(
        self,
        queue: Queue,
        function: Callable[Q, R_co],
        *,
        name: str,
        run_in: RunIn | None = None,
        defaults: TaskOptions,
        dead_letter_on: tuple[type[BaseException], ...] = (),
        cron: Cron | str | None = None,
        tz: str | None = None,
        lane: LaneSpec | None = None,
        expires_ms: int = 0,
    ) -> None:
        signature = Signature(check_task_name(name), function)
        by_arguments = None if lane is None else lane_of(lane, signature.parameters, name)
        plain = NO_OPTIONS.over(defaults.keep_result_s, expires_ms)
        super().__init__(name, queue.producer, signature, Arguments(signature), plain, by_arguments)
        self.queue = queue
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.run_in: RunIn = run_in or ("loop" if self.is_async else "thread")
        self.wants_context = signature.wants_context
        self.defaults = defaults
        self.expires_ms = expires_ms
        self.dead_letter_on = dead_letter_on
        self.schedule = None if cron is None else of_handler(name, cron, tz)
        if cron is None and tz is not None:
            raise InvalidTask("tz", f"task {name!r} has no cron=, so there is nothing that a time zone could mean")
        self._refuse_what_cannot_run()
        functools.update_wrapper(self, function)

    @property
    def max_attempts(self) -> int | None:
        """Attempts, if the decorator says."""
        return self.defaults.max_attempts

    @property
    def timeout_s(self) -> float | None:
        """Seconds that one run may take, if the decorator says."""
        return self.defaults.timeout_s

    @property
    def backoff(self) -> Backoff | None:
        """How long to wait between attempts, if the decorator says."""
        return self.defaults.backoff

    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> R_co:
        """Call the function itself, here and now: for unit tests, and for one handler that uses another."""
        return self.function(*args, **kwargs)

    def options(self, **options: Unpack[EnqueueKwargs]) -> Sender[P, R_co]:
        """The same handler with enqueue options: `send.options(delay="10s").enqueue(...)`.

        Raises InvalidTask naming the option.
        """
        return Sender(
            self.name, self._producer, self._signature, self._arguments, self.checked_options(**options), self._lane
        )

    def checked_options(self, **options: Unpack[EnqueueKwargs]) -> EnqueueOptions:
        """Enqueue options that this handler can keep. Raises InvalidTask naming the option."""
        checked = EnqueueOptions.of(**options)
        if checked.task.timeout_s is not None and self.run_in == "thread":
            raise InvalidTask("timeout", f"task {self.name!r} runs in a thread: {_NO_TIMEOUT}")
        return checked.over(self.defaults.keep_result_s, self.expires_ms)

    def encode_args(self, arguments: dict[str, object]) -> bytes:
        """Arguments by name as they travel, checked. Raises InvalidTask naming the parameter."""
        return self._arguments.encode(arguments)

    def decode_args(self, args: bytes, without: Collection[str] = ()) -> dict[str, object]:
        """The keyword arguments that a task's `args` stand for. Raises InvalidTask naming the parameter.

        Those parameters that it may be `without` get their values from the results of other tasks.
        """
        return self._arguments.decode_without(args, without) if without else self._arguments.decode(args)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments object. Raises InvalidHandler when a type can't be resolved."""
        return self._arguments.schema

    def manifest(self, app: str) -> TaskManifest:
        """What a worker of `app` publishes of this handler. Raises InvalidHandler as schema does."""
        return TaskManifest(
            name=self.name,
            schema=self.schema(),
            max_attempts=self.max_attempts,
            timeout_s=self.timeout_s,
            cron=self.schedule.cron if self.schedule else None,
            app=app,
            version=__version__,
            protocol=PROTOCOL,
            run_in=self.run_in,
            keep_result_s=self.defaults.keep_result_s,
            expires_s=self.expires_ms / 1000 or None,
        )

    @property
    def place(self) -> str:
        """Where the function is defined, for messages."""
        function = inspect.unwrap(self.function)
        return f"{function.__module__}.{function.__qualname__} (line {function.__code__.co_firstlineno})"

    def __repr__(self) -> str:
        return f"<Handler {self.queue.name}/{self.name}: {self.place}>"

    def _refuse_what_cannot_run(self) -> None:
        if inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(self.function):
            raise InvalidHandler(self.name, "a generator returns before its code has run; write a plain function")
        if self.is_async and self.run_in != "loop":
            raise InvalidHandler(
                self.name, f"an async function runs in the loop, not in a {self.run_in}; for that write a plain one"
            )
        if not self.is_async and self.run_in == "loop":
            raise InvalidHandler(
                self.name, "a plain function would block the loop; write async def, or leave run_in out"
            )
        if self.run_in not in ("loop", "thread", "process"):
            raise InvalidHandler(self.name, f"run_in={self.run_in!r} is none of 'loop', 'thread' and 'process'")
        if self.timeout_s is not None and self.run_in == "thread":
            raise InvalidHandler(self.name, _NO_TIMEOUT)
        if self.schedule:
            for parameter in self._signature.parameters.values():
                if parameter.default is parameter.empty:
                    raise InvalidHandler(
                        self.name,
                        f"cron= calls it without arguments: give parameter {parameter.name!r} a default, or take cron= "
                        "away and write a TaskSchedule with args",
                    )
        if not isinstance(self.dead_letter_on, tuple):
            raise InvalidHandler(
                self.name, f"dead_letter_on={self.dead_letter_on!r} is not a tuple of exception classes"
            )
        for kind in self.dead_letter_on:
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                raise InvalidHandler(self.name, f"dead_letter_on takes exception classes, and {kind!r} is none")


#: A handler whose types don't matter, as workers and manifests see it.
AnyHandler = Handler[..., ..., Any]
