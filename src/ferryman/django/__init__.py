"""Django: a backend for `django.tasks`, the app that a Django project's workers run, and fresh connections.

The extra `ferryman[django]` has what it needs. docs/django.md shows all of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ferryman.django.backend import FerrymanBackend
    from ferryman.django.connections import FreshConnections

_LATER = {"FerrymanBackend": "backend", "FreshConnections": "connections"}


def __getattr__(name: str) -> Any:
    if module := _LATER.get(name):
        value = globals()[name] = getattr(import_module(f"ferryman.django.{module}"), name)
        return value
    raise AttributeError(f"module 'ferryman.django' has no attribute {name!r}")


__all__ = ["FerrymanBackend", "FreshConnections"]
