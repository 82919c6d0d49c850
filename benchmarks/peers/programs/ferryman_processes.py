"""Ferryman with a handler in processes, and its producer. An app of its own: a worker that has such a handler keeps a
process to fork from, which the worker of the other workloads, as a worker of the peers', does not need.
"""

from __future__ import annotations

from typing import Any

from peers.programs import marks
from peers.programs.ferryman_program import bench, many, one


@bench.task(run_in="process")
def noop_process(value: dict[str, Any]) -> None:
    """In a process."""
    marks.noop(value)


if __name__ == "__main__":
    marks.produce(one, many)
