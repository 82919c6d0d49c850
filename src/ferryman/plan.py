"""Plans: reads and moves that take several round trips, described once and run by either kind of link.

A plan is a generator. It yields calls that can go in one pipelined round trip, is sent their replies, and returns
its result. So the CLI (blocking) and the HTTP API (async) share every line but the wait.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from ferryman.call import Call
from ferryman.link import Link, SyncLink

T = TypeVar("T")

Plan = Generator[Sequence[Call[Any]], list[Any], T]


def run_plan(link: SyncLink, plan: Plan[T]) -> T:
    """Runs a plan to its end. Raises the first error that a call met; what ran before it stays done."""
    try:
        calls = next(plan)
        while True:
            calls = plan.send(_checked(link.run_all(calls) if calls else []))
    except StopIteration as stop:
        result: T = stop.value
        return result


async def run_plan_async(link: Link, plan: Plan[T]) -> T:
    """The same on an async link."""
    try:
        calls = next(plan)
        while True:
            calls = plan.send(_checked(await link.run_all(calls) if calls else []))
    except StopIteration as stop:
        result: T = stop.value
        return result


def _checked(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
