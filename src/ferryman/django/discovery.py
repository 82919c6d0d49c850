"""Discovery: the queues of a Django project, as its workers serve them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules

from ferryman.queue import Queue


def find_queues() -> list[Queue]:
    """Imports the module `tasks` of each installed app; returns the queues that are defined there, then those of the
    backends in TASKS that are Ferryman's.

    Raises ImproperlyConfigured when there is neither, and what importing such a module raises.
    """
    autodiscover_modules("tasks")
    queues = [*_defined(), *_of_backends()]
    if not queues:
        raise ImproperlyConfigured(
            "there is no queue: no tasks.py of an installed app defines a ferryman.Queue, and TASKS names no "
            "ferryman.django.FerrymanBackend"
        )
    return list(dict.fromkeys(queues))


def _modules() -> Iterator[ModuleType]:
    for config in apps.get_app_configs():
        if (module := sys.modules.get(f"{config.name}.tasks")) is not None:
            yield module


def _defined() -> Iterator[Queue]:
    for module in _modules():
        yield from (value for value in vars(module).values() if isinstance(value, Queue))


def _of_backends() -> Iterator[Queue]:
    try:
        from ferryman.django.backend import FerrymanBackend
        from ferryman.django.interface import Task, task_backends
    except ImportError:
        return  # neither Django 6 nor django-tasks: queues of Ferryman's own need none
    tasks = [value for module in _modules() for value in vars(module).values() if isinstance(value, Task)]
    for alias in task_backends.settings:
        backend = task_backends[alias]
        if not isinstance(backend, FerrymanBackend):
            continue
        for task in tasks:
            # Also those of other backends: `using(backend=...)` may send them here.
            backend.learn(task)
        yield from (backend.queue(name) for name in sorted(backend.queues))
