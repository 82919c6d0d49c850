"""What the control panel's keys do to a queue; each returns a sentence for the person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ferryman.admission import encode_args, new_task
from ferryman.broker import Broker
from ferryman.inspector import Inspector
from ferryman.link import Link
from ferryman.manifest import TaskManifest
from ferryman.options import EnqueueOptions
from ferryman.plan import run_plan_async
from ferryman.policy import QueuePolicy
from ferryman.sample import sample_args
from ferryman.sweep import RESET_STATES, discard_all, revive_all


async def add(link: Link, queue: str, count: int, delay: str | None = None) -> str:
    """Enqueues `count` tasks that the queue's workers know, with simple arguments."""
    example = example_task(await link.run(Inspector(queue).manifest()))
    if example is None:
        return f"No worker of {queue} has said yet what it can run; use `ferryman enqueue {queue} …`"
    task, args = example
    options, encoded = EnqueueOptions.of(delay=delay), encode_args(args)
    await link.run(Broker(queue).announce())
    await link.run(Broker(queue).enqueue([new_task(task, encoded, options) for _ in range(count)]))
    when = f", to start in {delay}" if delay else ""
    return f"{count} × {task}({json.dumps(args, ensure_ascii=False)}) into {queue}{when}"


async def toggle_hold(link: Link, queue: str) -> str:
    """Holds a running queue, resumes a held one."""
    hold = not (await link.run(QueuePolicy(queue).read())).hold
    await link.run(QueuePolicy(queue).hold(hold))
    return f"{queue} is held; running tasks finish" if hold else f"{queue} is running"


async def revive(link: Link, queue: str) -> str:
    """Dead tasks back to waiting."""
    swept = await run_plan_async(link, revive_all(queue, lambda _: True))
    return f"{swept.moved} revived in {queue}"


async def reset(link: Link, queue: str) -> str:
    """Discards the waiting, delayed and dead tasks."""
    counts = []
    for state in RESET_STATES:
        swept = await run_plan_async(link, discard_all(queue, state, lambda _: True))
        counts.append(f"{swept.moved} {state.value}")
    return f"{queue}: discarded {', '.join(counts)}"


def example_task(manifest: Mapping[str, TaskManifest]) -> tuple[str, dict[str, Any]] | None:
    """A task to show with, and arguments that fit: `echo` if there is one, else the first that takes simple ones."""
    for name in sorted(manifest, key=lambda name: (name != "echo", name)):
        args = sample_args(manifest[name].schema)
        if args is not None:
            return name, args
    return None
