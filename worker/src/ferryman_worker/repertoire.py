"""Repertoire: what this worker can run, with every setting resolved as far as it can be before a task comes.

Precedence: enqueue option > decorator > the queue's policy > FERRYMAN_TASK_TIMEOUT > built-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ferryman.backoff import Backoff
from ferryman.context import Context
from ferryman.handler import AnyHandler
from ferryman.middleware import Around, overridden
from ferryman.options import RunSettings, TaskOptions, resolve
from ferryman.policy import Policy
from ferryman_worker.counters import Counters, TaskCounters


class Part(msgspec.Struct):
    """One handler, ready to be called."""

    handler: AnyHandler
    counters: TaskCounters
    #: For tasks without options of their own; follows the policy.
    settings: RunSettings
    #: What the queue's middlewares put around each run.
    around: tuple[Around[Context[Any]], ...] = ()


class Repertoire:
    """The handlers of one queue by task name."""

    def __init__(
        self, handlers: Mapping[str, AnyHandler], counters: Counters, policy: Policy, task_timeout_ms: int | None
    ) -> None:
        counters.know(*handlers)
        self._environment = TaskOptions(timeout_s=None if task_timeout_ms is None else task_timeout_ms / 1_000)
        self.parts: dict[str, Part] = {}
        self.policy = policy
        for name, handler in handlers.items():
            around = overridden(handler.queue.middlewares, "around_run")
            self.parts[name] = Part(handler, counters.of(name), resolve(*self._layers(handler)), around)

    def follow(self, policy: Policy) -> None:
        """The policy has changed: runs that start from now on go by the new one."""
        self.policy = policy
        for part in self.parts.values():
            part.settings = resolve(*self._layers(part.handler))

    def settings(self, part: Part, options: TaskOptions) -> RunSettings:
        """How a task runs that has options of its own."""
        if (options.max_attempts, options.timeout_s, options.backoff, options.keep_result_s) == (None,) * 4:
            return part.settings
        return resolve(options, *self._layers(part.handler))

    def _layers(self, handler: AnyHandler) -> tuple[TaskOptions, ...]:
        return handler.defaults, _options_of(self.policy), self._environment


def _options_of(policy: Policy) -> TaskOptions:
    return TaskOptions(
        max_attempts=policy.max_attempts,
        timeout_s=policy.task_timeout_ms / 1_000 if policy.task_timeout_ms else None,
        backoff=Backoff(
            initial_s=policy.backoff_initial_ms / 1_000,
            factor=policy.backoff_factor,
            max_s=policy.backoff_max_ms / 1_000,
            jitter=policy.backoff_jitter,
        ),
    )
