"""A worker for metrics_cost.py: `recording_worker.py URL CONCURRENCY`. SIGUSR2 makes it forget, SIGUSR1 count again.

What it forgets is all that tasks, fetches, flushes and round trips pass on the way. Counts of what is rare stay.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from ferryman_worker.command import worker
from ferryman_worker.counters import Counters, Histogram, TaskCounters

#: The frequent ones; a link that watches has a method of its own, taken from the class when it was made.
FREQUENT: Final = ((Counters, "fetched"), (TaskCounters, "ran_well"), (Histogram, "observe"))
_COUNTING: Final[dict[tuple[type, str], Callable[..., Any]]] = {(of, name): getattr(of, name) for of, name in FREQUENT}


def count() -> None:
    """As it is."""
    for (of, name), method in _COUNTING.items():
        setattr(of, name, method)


def forget() -> None:
    """Counts nothing that is frequent."""
    for of, name in FREQUENT:
        setattr(of, name, _nothing)


def _nothing(self: object, value: object) -> None:
    pass


def main() -> None:
    """Runs it until SIGTERM."""
    url, concurrency = sys.argv[1:]
    signal.signal(signal.SIGUSR1, lambda *_: count())
    signal.signal(signal.SIGUSR2, lambda *_: forget())
    os.environ |= {"FERRYMAN_REDIS_URL": url, "FERRYMAN_PORT": "0"}
    worker(["bench", "--app", "noop_app", "--concurrency", concurrency])


if __name__ == "__main__":
    main()
