"""Drive: runs a handler's coroutine inside a slot's asyncio task, in contextvars of its own.

A coroutine that never waits costs neither a task nor a turn of the loop. One that does wait goes on in the
same slot: `asyncio.current_task()`, timeouts and task groups inside it see a task that stays the same from
start to end. Setting context variables in one task never shows in the next one of the slot.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context as Variables
from typing import Any

from ferryman.context import Context, current_run


def begin(coroutine: Coroutine[Any, Any, Any], run: Context[Any]) -> Any:
    """The first step; must run inside the task's own variables."""
    current_run.set(run)
    return coroutine.send(None)


@types.coroutine
def drive(
    coroutine: Coroutine[Any, Any, Any], run: Context[Any], variables: Variables, suspended: Callable[[], None]
) -> Generator[Any, Any, Any]:
    """Runs `coroutine` to its end and returns its value; calls `suspended` once, when it first waits."""
    enter = variables.run
    try:
        waits_for = enter(begin, coroutine, run)
    except StopIteration as end:
        return end.value
    suspended()
    failure: BaseException | None
    while True:
        try:
            got = yield waits_for
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:  # noqa: BLE001  (a cancellation, on its way to the handler)
            failure, got = error, None
        else:
            failure = None
        try:
            waits_for = enter(coroutine.send, got) if failure is None else enter(coroutine.throw, failure)
        except StopIteration as end:
            return end.value
