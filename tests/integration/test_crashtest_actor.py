"""A place of the crash test: a signal that is meant for one process never reaches its successor."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from ferryman.crashtest.actor import Actor

#: Says its name when it is ready, and ends with the number of the signal that it gets.
PROGRAM = """
import signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: sys.exit(number))
print("ready", sys.argv[1], flush=True)
time.sleep(600)
"""


async def ready(actor: Actor, folder: Path) -> str:
    """The name of the process that is here, once it hears signals."""
    async with asyncio.timeout(60):
        name = await actor.process()
        while f"ready {name}" not in (folder / f"{actor.place}.out").read_text():
            await asyncio.sleep(0.01)
    return name


async def test_a_signal_for_a_process_that_has_ended_does_not_hit_the_next_one(tmp_path: Path) -> None:
    actor = Actor(
        "worker-0", lambda name: [sys.executable, "-c", PROGRAM, name], lambda pod: dict(os.environ), tmp_path
    )
    actor.start()
    try:
        first = await ready(actor, tmp_path)
        actor.expect_end(new_pod=True)
        actor.send(signal.SIGTERM)
        await actor.ended(first)
        second = await ready(actor, tmp_path)
        # When a signal comes late for the first one, and then one for the second
        actor.send(signal.SIGINT, only=first)
        actor.send(signal.SIGTERM, only=second)
        await actor.ended(second)
    finally:
        actor.kill()
    assert [(one.process, one.code) for one in actor.exits] == [(first, signal.SIGTERM), (second, signal.SIGTERM)]
