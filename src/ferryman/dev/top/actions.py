"""What the control panel's keys do to a queue; each returns a sentence for the person."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from ferryman.admission import encode_args, new_task
from ferryman.broker import Broker
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.manifest import TaskManifest
from ferryman.options import EnqueueOptions
from ferryman.plan import run_plan_async
from ferryman.policy import QueuePolicy
from ferryman.sample import sample_args
from ferryman.sweep import RESET_STATES, discard_all, revive_all

#: The task that kills the worker which takes it first. An app has it on purpose, as examples/quickstart/app.py does.
CRASH_TASK: Final = "crash_once"

#: Told how far an action has come, in words.
Tell = Callable[[str], None]


async def add(link: Link, queue: str, count: int, delay: str | None = None) -> str:
    """Enqueues `count` tasks that the queue's workers know, with simple arguments."""
    example = example_task(await link.run(Inspector(queue).manifest()))
    if example is None:
        return f"No worker of {queue} has said yet what it can run; use `ferryman enqueue {queue} …`"
    task, args = example
    await _enqueue(link, queue, task, args, count, delay)
    when = f", to start in {delay}" if delay else ""
    return f"{count} × {task}({json.dumps(args, ensure_ascii=False)}) into {queue}{when}"


async def crash_a_worker(link: Link, queue: str) -> str:
    """Enqueues the task that kills its worker once, where the queue's app has one."""
    manifest = await link.run(Inspector(queue).manifest())
    if not manifest:
        return f"No worker of {queue} has said yet what it can run, so there is none to crash."
    if CRASH_TASK not in manifest:
        return (
            f"The app of {queue} has no task {CRASH_TASK}, so nothing was crashed. "
            "examples/quickstart/app.py has one, and so can yours."
        )
    args = sample_args(manifest[CRASH_TASK].schema)
    if args is None:
        return f"{CRASH_TASK} of {queue} wants arguments that we can't make up; use `ferryman enqueue {queue} …`"
    await _enqueue(link, queue, CRASH_TASK, args, 1, None)
    return f"{CRASH_TASK} into {queue}: the worker that takes it dies; its tasks come back within about 20 s"


async def toggle_hold(link: Link, queue: str) -> str:
    """Holds a running queue, resumes a held one."""
    hold = not (await link.run(QueuePolicy(queue).read())).hold
    await link.run(QueuePolicy(queue).hold(hold))
    return f"{queue} is held; running tasks finish" if hold else f"{queue} is running"


async def revive_one(link: Link, queue: str, task_id: str) -> str:
    """One dead task back to waiting."""
    moved = await link.run(Broker(queue).revive([task_id]))
    return f"{task_id} revived in {queue}" if moved.ids else f"{task_id} is not dead in {queue} any more"


async def revive_everything(link: Link, queue: str, tell: Tell) -> str:
    """Dead tasks back to waiting."""

    def go_on(moved: int) -> bool:
        tell(f"{moved:,} revived in {queue} so far")
        return True

    swept = await run_plan_async(link, revive_all(queue, go_on))
    return f"{swept.moved:,} revived in {queue}"


async def reset(link: Link, queue: str, tell: Tell) -> str:
    """Discards the blocked, waiting, delayed and dead tasks."""
    counts: list[str] = []
    for state in RESET_STATES:

        def go_on(moved: int, state: str = state.value) -> bool:
            tell(f"{queue}: discarded {', '.join([*counts, f'{moved:,} {state}'])} so far")
            return True

        swept = await run_plan_async(link, discard_all(queue, state, go_on))
        counts.append(f"{swept.moved:,} {state.value}")
    return f"{queue}: discarded {', '.join(counts)}"


def what_reset_discards(stats: QueueStats) -> str:
    """The question before it."""
    counts = [f"{getattr(stats, state):,} {state}" for state in RESET_STATES]
    what = f"{', '.join(counts[:-1])} and {counts[-1]} tasks"
    active = f"The {stats.active:,} active ones go on, and other" if stats.active else "Other"
    return f"Reset {stats.queue}?\n\nThis discards, for good: {what}. {active} queues are left alone."


def example_task(manifest: Mapping[str, TaskManifest]) -> tuple[str, dict[str, Any]] | None:
    """A task to show with, and arguments that fit: `echo` if there is one, else the first that takes simple ones."""
    for name in sorted(manifest, key=lambda name: (name != "echo", name)):
        args = sample_args(manifest[name].schema)
        if args is not None and name != CRASH_TASK:
            return name, args
    return None


async def _enqueue(link: Link, queue: str, task: str, args: dict[str, Any], count: int, delay: str | None) -> None:
    options, encoded = EnqueueOptions.of(delay=delay), encode_args(args)
    tasks = [new_task(task, encoded, options) for _ in range(count)]
    for reply in await link.run_all([Broker(queue).announce(), Broker(queue).enqueue(tasks)]):
        if isinstance(reply, Exception):
            raise reply
