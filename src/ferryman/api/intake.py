"""Intake: from a request's body to tasks in Redis.

All tasks of a request are checked before the first is sent. They go in batches, each by one script; when Redis
fails in between, the problem says which ids were accepted, and sending the same ids again adds only the rest.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Final

from ferryman.admission import Admission, encode_args, new_task
from ferryman.api.metrics import ApiMetrics
from ferryman.api.problems import invalid, of_error
from ferryman.api.schema import TASKS_AT_MOST, TaskRequest
from ferryman.batches import args_bytes, batches
from ferryman.broker import Broker
from ferryman.enqueue_log import tell_enqueued
from ferryman.errors import FerrymanError, InvalidTask, NotReplicated, PayloadTooLarge, UnknownTask
from ferryman.headers import NO_HEADERS
from ferryman.inspector import Inspector
from ferryman.link import Link
from ferryman.manifest import TaskManifest
from ferryman.new_task import Enqueued, NewTask
from ferryman.options import EnqueueOptions
from ferryman.replication import ReplicaWait
from ferryman.task import check_queue_name, check_task_id

logger = logging.getLogger(__name__)

# A count multiplies what a small body holds.
_BYTES_AT_MOST: Final = 32 << 20

# A manifest changes when a new version's first worker registers.
_MANIFEST_AGE_S: Final = 5.0
_ANNOUNCE_AGE_S: Final = 60.0
_QUEUES_AT_MOST: Final = 1000


class Intake:
    """Checks and enqueues. Remembers manifests for some seconds, so that a task costs one round trip."""

    def __init__(self, link: Link, metrics: ApiMetrics, wait: ReplicaWait) -> None:
        self._link = link
        self._metrics = metrics
        self._wait = wait
        self._manifests: dict[str, tuple[float, Mapping[str, TaskManifest]]] = {}
        self._announced: dict[str, float] = {}

    async def take(
        self, requests: Sequence[TaskRequest], key: str, *, many: bool, headers: Mapping[str, str] = NO_HEADERS
    ) -> list[tuple[str, Enqueued]]:
        """Enqueues the requests; returns (queue, answer) per task, in their order.

        `key` is the Idempotency-Key or empty: the id of a single task, a prefix of the ids of several. `many` says
        that the body was a list; `headers` travel with every task. Raises Problem.
        """
        if sum(request.count for request in requests) > TASKS_AT_MOST:
            raise invalid("/tasks" if many else "/count", f"more than {TASKS_AT_MOST} tasks in one request")
        single = not many and requests[0].count == 1
        tasks: list[tuple[str, NewTask]] = []
        for index, request in enumerate(requests):
            at = f"/tasks/{index}" if many else ""
            known = await self._admit(request, at)
            ids = ([key] if single else [f"{key}:{len(tasks) + n}" for n in range(request.count)]) if key else None
            tasks += [(request.queue, task) for task in _tasks_of(request, at, ids, headers, known)]
        if sum(len(task.args) for _, task in tasks) > _BYTES_AT_MOST:
            raise invalid("/count", f"the tasks of one request hold more than {_BYTES_AT_MOST} bytes of arguments")
        return await self._enqueue(tasks)

    async def _admit(self, request: TaskRequest, at: str) -> TaskManifest | None:
        """What the workers said of the task, if they have."""
        try:
            check_queue_name(request.queue)
        except InvalidTask as error:
            raise invalid(f"{at}/queue", error.message) from error
        try:
            manifest = await self._manifest(request.queue)
            if manifest and request.task not in manifest:
                # Perhaps a newer worker has registered since: look again before refusing.
                manifest = await self._manifest(request.queue, fresh=True)
            Admission(request.queue, manifest).check(request.task, request.args)
            return manifest.get(request.task)
        except UnknownTask as error:
            problem = of_error(error)
            problem.more["errors"] = [{"pointer": f"{at}/task", "detail": error.message}]
            raise problem from error
        except InvalidTask as error:
            parameter = error.field.replace(".", "/").replace("[", "/").replace("]", "")
            raise invalid(f"{at}/args/{parameter}", error.message, parameter=error.field) from error

    async def _manifest(self, queue: str, *, fresh: bool = False) -> Mapping[str, TaskManifest]:
        now = time.monotonic()
        read_at, manifest = self._manifests.get(queue, (0.0, {}))
        if fresh or queue not in self._manifests or now - read_at > _MANIFEST_AGE_S:
            manifest = await self._link.run(Inspector(queue).manifest())
            if len(self._manifests) >= _QUEUES_AT_MOST:
                self._manifests.clear()
            self._manifests[queue] = now, manifest
        return manifest

    async def _enqueue(self, tasks: Sequence[tuple[str, NewTask]]) -> list[tuple[str, Enqueued]]:
        """One pipelined round trip, two when replicas must confirm: a script call per queue and batch."""
        await self._announce({queue for queue, _ in tasks})
        steps = [
            (queue, batch)
            for queue, group in groupby(sorted(tasks, key=_queue_of), key=_queue_of)
            for batch in batches((task for _, task in group), args_bytes)
        ]
        calls = [Broker(queue).enqueue(batch) for queue, batch in steps]
        replies = [reply for some in self._wait.rounds(calls) for reply in await self._link.run_all(some)]
        answers: dict[str, list[Enqueued]] = {}
        failures: list[Exception] = []
        unsure: NotReplicated | None = None
        for (queue, _), reply in zip(steps, replies, strict=True):
            if isinstance(reply, NotReplicated):
                unsure, reply = reply, reply.accepted
            if isinstance(reply, Exception):
                failures.append(reply)
                continue
            answers.setdefault(queue, []).extend(reply)
            self._metrics.enqueued(queue, sum(answer.created for answer in reply))
        if failures:
            raise _partly_failed(failures[0], [answer.id for some in answers.values() for answer in some])
        turn = {queue: iter(some) for queue, some in answers.items()}
        accepted = [(queue, next(turn[queue])) for queue, _ in tasks]
        if logger.isEnabledFor(logging.DEBUG):
            _tell(tasks, accepted)
        if unsure:
            raise NotReplicated([answer for _, answer in accepted], unsure.replicas, unsure.wanted, unsure.reason)
        return accepted

    async def _announce(self, queues: Collection[str]) -> None:
        """Puts new queues into the list of known ones, before their first task."""
        now = time.monotonic()
        stale = [queue for queue in queues if now - self._announced.get(queue, -_ANNOUNCE_AGE_S) >= _ANNOUNCE_AGE_S]
        for reply in await self._link.run_all([Broker(queue).announce() for queue in stale]) if stale else ():
            if isinstance(reply, Exception):
                raise reply
        if len(self._announced) >= _QUEUES_AT_MOST:
            self._announced.clear()
        self._announced.update(dict.fromkeys(stale, now))


def _tell(tasks: Sequence[tuple[str, NewTask]], accepted: Sequence[tuple[str, Enqueued]]) -> None:
    for (queue, task), (_, answer) in zip(tasks, accepted, strict=True):
        tell_enqueued(logger, queue, task, answer)


def _queue_of(entry: tuple[str, NewTask]) -> str:
    return entry[0]


def _partly_failed(failure: Exception, accepted: list[str]) -> Exception:
    """The failure, with the ids that were accepted all the same; only those may be left out when it is sent again."""
    if not isinstance(failure, FerrymanError):
        return failure
    problem = of_error(failure)
    problem.more["accepted"] = accepted
    return problem


def _tasks_of(
    request: TaskRequest, at: str, ids: list[str] | None, headers: Mapping[str, str], known: TaskManifest | None
) -> list[NewTask]:
    if request.count > 1 and (request.id or request.unique):
        raise invalid(f"{at}/count", "several tasks cannot share an id or a unique key; leave one out")
    try:
        for task_id in ids or ():
            check_task_id(task_id)
    except InvalidTask as error:
        raise invalid("/Idempotency-Key", error.message) from error
    if ids and request.id and request.id != ids[0]:
        raise invalid(f"{at}/id", "differs from the header Idempotency-Key; send one of them")
    try:
        options = EnqueueOptions.of(
            delay=request.delay,
            at=request.at,
            priority=request.priority,
            id=request.id or "",
            unique=request.unique or "",
            unique_for=request.unique_for,
            throttle=request.throttle,
            debounce=request.debounce,
            lane=request.lane,
            max_attempts=request.max_attempts,
            keep_result=request.keep_result,
            expires=request.expires,
            headers=headers,
        )
        if known is not None:
            options = options.over(known.keep_result_s, round((known.expires_s or 0) * 1000))
        args = encode_args(request.args)
        return [new_task(request.task, args, options, ids[n] if ids else "") for n in range(request.count)]
    except PayloadTooLarge:
        raise
    except InvalidTask as error:
        raise invalid(f"{at}/{error.field}", error.message) from error
