"""Testing one's own tasks: the real scripts, the real JSON and the real worker, without a Redis and without waiting.

With pytest the fixture `ferryman` is a Tester; anywhere else it is a context manager (`with Tester() as tester:`).
Importing this imports neither pytest nor fakeredis.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ferryman.context import context

if TYPE_CHECKING:
    from ferryman.testing.run import Run
    from ferryman.testing.seen_task import SeenTask
    from ferryman.testing.tester import Tester

_LATER = {"Run": "run", "SeenTask": "seen_task", "Tester": "tester"}


def __getattr__(name: str) -> Any:
    if module := _LATER.get(name):
        value = globals()[name] = getattr(import_module(f"ferryman.testing.{module}"), name)
        return value
    raise AttributeError(f"module 'ferryman.testing' has no attribute {name!r}")


__all__ = ["Run", "SeenTask", "Tester", "context"]
