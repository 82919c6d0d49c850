"""Ids of new tasks, made by the producer, so that sending an enqueue twice creates one task."""

from __future__ import annotations

import os


def new_task_id() -> str:
    """Return 24 hexadecimal digits: 96 random bits from the system, so forks and threads never share one."""
    return os.urandom(12).hex()
