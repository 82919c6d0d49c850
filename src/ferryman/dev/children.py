"""Child processes of `ferryman dev`: started in a session of their own, so Ctrl-C reaches only their parent, which
stops them in order; they end with it even when it is killed."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import IO, Any, Final

_PR_SET_PDEATHSIG: Final = 1
_LINE_LIMIT: Final = 1 << 20
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

#: Waits before a child that ended by itself is started again (seconds).
_PAUSES_S: Final = (0, 0.5, 1, 2, 3)
_STEADY_AFTER_S: Final = 30.0


async def start_process(
    argv: Sequence[str],
    env: Mapping[str, str] | None = None,
    stdout: int | IO[Any] = asyncio.subprocess.PIPE,
    end_by: signal.Signals = signal.SIGTERM,
) -> asyncio.subprocess.Process:
    """Starts a process whose stderr goes where its stdout goes; the kernel sends it `end_by` when this one dies."""
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.STDOUT,
        env=env,
        limit=_LINE_LIMIT,
        start_new_session=True,
        preexec_fn=partial(_end_with_parent, end_by) if _libc else None,
    )


async def terminate_gently(process: asyncio.subprocess.Process, grace_s: float) -> None:
    """SIGTERM, and after the grace SIGKILL to all that it started."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), grace_s)
        except TimeoutError:
            kill_group(process)
            await process.wait()


def kill_group(process: asyncio.subprocess.Process) -> None:
    """SIGKILL to the process and its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Child:
    """A program that is kept running: when it ends by itself it is started again, after a growing pause.

    `say(name, line)` gets what it prints, and remarks about its life.
    """

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], say: Callable[[str, str], None], grace_s: float
    ) -> None:
        self.name = name
        self._argv = argv
        self._env = env
        self._say = say
        self._grace_s = grace_s
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = True
        self._restarting = False
        self._life = asyncio.create_task(self._live(), name=name)

    async def restart(self) -> None:
        """Stops the process; the next one starts at once."""
        self._restarting = True
        if self._process is not None:
            await terminate_gently(self._process, self._grace_s)

    async def stop(self) -> None:
        """Ends it for good."""
        self._wanted = False
        if self._process is not None:
            await terminate_gently(self._process, self._grace_s)
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)

    def kill(self) -> None:
        """Ends it now."""
        self._wanted = False
        if self._process is not None:
            kill_group(self._process)

    async def _live(self) -> None:
        failures = 0
        while self._wanted:
            started = asyncio.get_running_loop().time()
            self._restarting = False
            self._process = await start_process(self._argv, self._env)
            pump = asyncio.create_task(self._pump(self._process))
            code = await self._process.wait()
            # A grandchild may hold the pipe open; what the process itself printed is there by now.
            await asyncio.wait([pump], timeout=0.5)
            pump.cancel()
            if self._restarting or not self._wanted:
                continue
            steady = asyncio.get_running_loop().time() - started > _STEADY_AFTER_S
            failures = 0 if steady else failures + 1
            pause_s = _PAUSES_S[min(failures, len(_PAUSES_S) - 1)]
            self._say(self.name, f"ended with {_ending(code)}; starting it again in {pause_s:g} s")
            await asyncio.sleep(pause_s)

    async def _pump(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                self._say(self.name, f"(a line of more than {_LINE_LIMIT} bytes was left out)")
                continue
            if not line:
                return
            self._say(self.name, line.decode(errors="replace").rstrip("\r\n"))


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _end_with_parent(end_by: signal.Signals) -> None:
    assert _libc is not None
    _libc.prctl(_PR_SET_PDEATHSIG, end_by)
