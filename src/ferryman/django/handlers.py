"""Handlers: how a worker runs a Django task.

Arguments are Django's: JSON values, as they are. An annotation converts nothing here, unlike in a handler of
Ferryman's own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ferryman.context import Context
from ferryman.django import results
from ferryman.django.interface import Task, TaskContext, normalize_json, task_finished, task_started
from ferryman.durations import Duration
from ferryman.handler import AnyHandler
from ferryman.queue import Queue

#: The parameter that gets Ferryman's Context; nobody else's is called so.
_CONTEXT = "_ferryman_context"


#: How long a return value is kept unless the settings say otherwise.
KEEP_RESULT: Final = "1h"


@dataclass(frozen=True, slots=True)
class Options:
    """How a backend's tasks run; None leaves it to the TaskQueue."""

    max_attempts: int | None
    keep_result: Duration | None


def handler_of(queue: Queue, task: Task[..., Any], options: Options) -> AnyHandler:
    """The queue's handler for a task, registered if it is new.

    Raises InvalidHandler when its function can't take arguments by name, InvalidTask for a bad option.
    """
    name = task.module_path
    found = queue.handlers.get(name)
    if found is None:
        register = queue.task(name=name, max_attempts=options.max_attempts, keep_result=options.keep_result)
        register(_runner(task))
        found = queue.handlers[name]
        results.know(task)
    return found


def _runner(task: Task[..., Any]) -> Callable[..., Any]:
    """A function that gets the task's arguments by name, and tells Django's signals of its run."""
    if inspect.iscoroutinefunction(task.func):

        async def run_async(*positional: Any, **arguments: Any) -> Any:
            running = results.of_run(task, positional[0], arguments)
            await task_started.asend(_backend(task), task_result=running)
            value = normalize_json(await task.func(*_head(task, running), **arguments))
            await task_finished.asend(_backend(task), task_result=results.succeeded(running, value))
            return value

        return _shaped(run_async, task)

    def run(*positional: Any, **arguments: Any) -> Any:
        running = results.of_run(task, positional[0], arguments)
        task_started.send(_backend(task), task_result=running)
        value = normalize_json(task.func(*_head(task, running), **arguments))
        task_finished.send(_backend(task), task_result=results.succeeded(running, value))
        return value

    return _shaped(run, task)


def _head(task: Task[..., Any], running: Any) -> tuple[Any, ...]:
    return (TaskContext(task_result=running),) if task.takes_context else ()


def _backend(task: Task[..., Any]) -> type:
    return type(task.get_backend())


def _shaped(run: Callable[..., Any], task: Task[..., Any]) -> Callable[..., Any]:
    """With the function's name, place and parameters, and Ferryman's Context as the first."""
    functools.update_wrapper(run, task.func)
    parameters = list(inspect.signature(task.func).parameters.values())[task.takes_context :]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(_CONTEXT, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Context),
            *(parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters),
        ]
    )
    return run
