"""Actor: one place in the crash test, a worker's or a scheduler's, that always has a process in it.

When the process ends, the next one starts, as Kubernetes restarts a container: in the same pod, so that it may take
over from its predecessor, or in a new one. Every process has a name of its own, `worker-2.5` for the fifth in place 2,
so that no reuse of a pid can confuse the verdict.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ferryman.crashtest.execution_log import now_ms
from ferryman.dev.children import kill_group, start_process, terminate_gently

#: A worker may spend its grace (25 s) before it ends.
_PATIENCE_S = 40.0
#: Between two processes of a place that end by themselves, as Kubernetes backs off too.
_BACKOFF_S = 1.0


@dataclass(frozen=True, slots=True)
class Exit:
    """A process that ended; `asked` when it was killed or told to end."""

    process: str
    code: int
    at_ms: float
    asked: bool


class Actor:
    """`argv(process)` is the command line of the process of that name; `env(pod)` its environment."""

    def __init__(
        self,
        place: str,
        argv: Callable[[str], Sequence[str]],
        env: Callable[[str], Mapping[str, str]],
        folder: Path,
    ) -> None:
        self.place = place
        self._argv = argv
        self._env = env
        self._output = folder / f"{place}.out"
        self._wanted = True
        self._number = 0
        self._pod = 1
        self._absent_s = 0.0
        self._asked = False
        self._process: asyncio.subprocess.Process | None = None
        self._up = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self.exits: list[Exit] = []
        #: Held while somebody ends the process or its connections: one fault at a time, each to its end.
        self.turn = asyncio.Lock()

    def start(self) -> None:
        """From now on there is a process here."""
        self._life = asyncio.create_task(self._live(), name=self.place)

    async def process(self) -> str:
        """The name of the process that is here now; waits while there is none."""
        await self._up.wait()
        return f"{self.place}.{self._number}"

    @property
    def pod(self) -> str:
        """The pod that the present process runs in, or the next one will."""
        return f"{self.place}-pod-{self._pod}"

    @property
    def pid(self) -> int:
        """Of the process that is here, or was last."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals, *, group: bool = False, only: str = "") -> None:
        """A signal to the process, or to all that it started as well; none if it has just ended.

        `only`: to the process of this name, and not to its successor.
        """
        if only and only != f"{self.place}.{self._number}":
            return
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(self._process.pid, number)

    def expect_end(self, *, new_pod: bool = False, absent_s: float = 0.0) -> None:
        """It is about to be ended on purpose: the next one starts `absent_s` later, in a new pod or in this."""
        self._asked = True
        self._absent_s = absent_s
        if new_pod:
            self._pod += 1

    async def ended(self, process: str) -> float:
        """Waits until the process of that name has ended; returns when (ms)."""
        while not (found := [one.at_ms for one in self.exits if one.process == process]):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return found[0]

    async def stop(self) -> None:
        """Ends it for good: told first, killed if it does not listen."""
        self._wanted = False
        self._asked = True
        self.send(signal.SIGCONT, group=True)
        if self._process is not None:
            await terminate_gently(self._process, _PATIENCE_S)
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)

    def kill(self) -> None:
        """Ends it now, with all that it started."""
        self._wanted = False
        if self._life is not None:
            self._life.cancel()
        if self._process is not None:
            kill_group(self._process)

    async def _live(self) -> None:
        while self._wanted:
            self._number += 1
            self._asked = False
            name = f"{self.place}.{self._number}"
            with self._output.open("ab") as output:
                self._process = await start_process(
                    self._argv(name), self._env(self.pod), output, end_by=signal.SIGKILL
                )
            self._up.set()
            code = await self._process.wait()
            self._up.clear()
            self.exits.append(Exit(name, code, now_ms(), self._asked))
            if self._wanted:
                await asyncio.sleep(self._absent_s if self._asked else _BACKOFF_S)
                self._absent_s = 0.0


def ferryman(*words: str) -> list[str]:
    """The command line of a Ferryman command in this installation."""
    return [sys.executable, "-m", "ferryman", *words]
