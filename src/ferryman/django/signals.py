"""FinishedSignal: Django's `task_finished` for tasks that went to dead. Those that end well say so themselves.

A run that fails and will be repeated is not finished: Django's tasks know no attempts, its signals no retries.
"""

from __future__ import annotations

import json

from ferryman.django import results
from ferryman.django.interface import task_finished
from ferryman.middleware import DeadTask, Middleware


class FinishedSignal(Middleware):
    """Told by the worker after Redis has confirmed it."""

    def on_dead(self, dead: DeadTask) -> None:
        """In a thread of its own."""
        if (task := results.known(dead.task)) is not None:
            failed = results.failed(task, dead, json.loads(dead.args))
            task_finished.send(type(task.get_backend()), task_result=failed)
