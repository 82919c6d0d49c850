"""Programs: `ferryman WORDS...` as processes of their own, which end with the test."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

#: `start(*words, stdout=…, stderr=…, **env)`; what they print goes nowhere unless it is asked for.
Start = Callable[..., Awaitable[Process]]


@asynccontextmanager
async def programs() -> AsyncIterator[Start]:
    """Starts them; what still runs at the end is killed."""
    processes: list[Process] = []

    async def start(*words: str, stdout: int = DEVNULL, stderr: int = DEVNULL, **env: str) -> Process:
        program = (sys.executable, "-m", "ferryman", *words)
        environment = {**os.environ, "FERRYMAN_PORT": "0", **env}
        process = await asyncio.create_subprocess_exec(*program, stdout=stdout, stderr=stderr, env=environment)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()
