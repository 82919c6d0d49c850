"""FerrymanBackend: Django's tasks as tasks of Ferryman's queues: new -> waiting or delayed.

A task's queue_name is its queue, its dotted path its name, and its arguments travel by name, so that `ferryman show`,
metrics and manifests tell it like any other. Each queue of a backend can run each task of that backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from django.core import checks
from django.utils import timezone

from ferryman.django import results
from ferryman.django.checking import check_backend
from ferryman.django.handlers import KEEP_RESULT, Options, handler_of
from ferryman.django.interface import (
    BaseTaskBackend,
    InvalidTask,
    Task,
    TaskResult,
    TaskResultDoesNotExist,
    normalize_json,
    task_enqueued,
)
from ferryman.django.queues import queue_for
from ferryman.errors import InvalidTask as InvalidFerrymanTask
from ferryman.inspector import Inspector
from ferryman.options import EnqueueKwargs
from ferryman.pools import link_for, sync_link_for
from ferryman.queue import Queue
from ferryman.sending import WorkItem
from ferryman.signature import InvalidHandler

P = ParamSpec("P")
R = TypeVar("R")


class FerrymanBackend(BaseTaskBackend):
    """`TASKS = {"default": {"BACKEND": "ferryman.django.FerrymanBackend", "QUEUES": [...], "OPTIONS": {...}}}`.

    Options, all optional: `redis_url` (else FERRYMAN_REDIS_URL, as everywhere), `max_attempts` (else what the
    TaskQueue says, then 5), `keep_result` (how long `return_value` can be had: "1h" unless given; 0 = not at all).
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        options: Mapping[str, Any] = self.options
        self._redis_url: str | None = options.get("redis_url")
        self._how = Options(options.get("max_attempts"), options.get("keep_result", KEEP_RESULT))

    def validate_task(self, task: Task[..., Any]) -> None:
        """Raises Django's InvalidTask for what no worker could run; from here on this backend's queues know it."""
        super().validate_task(task)
        self.learn(task)

    def learn(self, task: Task[..., Any]) -> None:
        """Register a task in every queue of this backend. Raises Django's InvalidTask.

        Settings that can't work are no fault of the task: `check` tells them, and so does enqueue.
        """
        for name in {*self.queues, task.queue_name}:
            try:
                with suppress(InvalidFerrymanTask):
                    handler_of(self.queue(name), task, self._how)
            except InvalidHandler as error:
                raise InvalidTask(str(error)) from error

    def queue(self, name: str) -> Queue:
        """The queue of that name. Raises ferryman.InvalidTask when it can be none."""
        return queue_for(name, self._redis_url)

    def enqueue(self, task: Task[P, R], args: Any, kwargs: Any) -> TaskResult[P, R]:
        """Sends a task. Raises Django's InvalidTask for arguments that don't fit the function, TypeError for what is
        no JSON, and what `ferryman.Queue.enqueue` raises when Redis is away or full."""
        item = self._item(task, args, kwargs)
        self.queue(task.queue_name).producer.enqueue_sync(item)
        result = results.of_new(task, item.id, args, kwargs, self.alias)
        task_enqueued.send(type(self), task_result=result)
        return result

    async def aenqueue(self, task: Task[P, R], args: Any, kwargs: Any) -> TaskResult[P, R]:
        """The same in a coroutine, without a thread."""
        item = self._item(task, args, kwargs)
        await self.queue(task.queue_name).producer.enqueue(item)
        result = results.of_new(task, item.id, args, kwargs, self.alias)
        await task_enqueued.asend(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> TaskResult[..., Any]:
        """What is known of a task: while it is not completed, and for an hour after that. Raises
        TaskResultDoesNotExist."""
        names = sorted(self.queues)
        return self._found(result_id, sync_link_for(self._redis_url).run_all(_looks(names, result_id)))

    async def aget_result(self, result_id: str) -> TaskResult[..., Any]:
        """The same in a coroutine, without a thread."""
        names = sorted(self.queues)
        return self._found(result_id, await link_for(self._redis_url).run_all(_looks(names, result_id)))

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """For `manage.py check`: what is wrong with this backend's settings."""
        return check_backend(self.alias, self.queues, self.options)

    def _item(self, task: Task[..., Any], args: Any, kwargs: Any) -> WorkItem:
        super().validate_task(task)
        options: EnqueueKwargs = {"priority": task.priority}
        if (run_after := task.run_after) is not None:
            options["at"] = run_after if timezone.is_aware(run_after) else timezone.make_aware(run_after)
        positional: Any = normalize_json([*args])
        named: Any = normalize_json(kwargs)
        try:
            handler = handler_of(self.queue(task.queue_name), task, self._how)
            return handler.options(**options).task(*positional, **named)
        except (InvalidFerrymanTask, InvalidHandler) as error:
            raise InvalidTask(str(error)) from error

    def _found(self, result_id: str, looks: list[Any]) -> TaskResult[..., Any]:
        for record in looks:
            if isinstance(record, Exception):
                raise record
            if record is not None and (task := results.task_of(record, self.alias)) is not None:
                return results.of_record(task, record, self.alias)
        raise TaskResultDoesNotExist(result_id)


def _looks(queues: list[str], task_id: str) -> list[Any]:
    return [Inspector(name).get(task_id) for name in queues]
