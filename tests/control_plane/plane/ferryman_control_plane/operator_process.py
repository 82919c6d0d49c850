"""OperatorProcess: the operator as users run it, as a process of its own, on the control plane."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx

from ferryman_control_plane.plane import ControlPlane, free_port

T = TypeVar("T")

#: `start(name, kubeconfig=…, **env)`: an operator of the test's namespace, which ends with the test.
StartOperator = Callable[..., "OperatorProcess"]


class OperatorProcess:
    """`python -m ferryman_operator` as `user`; what it says goes to `log`."""

    def __init__(self, plane: ControlPlane, name: str = "operator", *, kubeconfig: Path | None = None, **env: str):
        self.port = free_port()
        self.log = plane.folder / f"{name}.log"
        settings = {
            "KUBECONFIG": str(kubeconfig or plane.folder / "ferryman-operator.kubeconfig"),
            "FERRYMAN_PORT": str(self.port),
            "FERRYMAN_SCHEDULER_IMAGE": "localhost/ferryman-scheduler:dev",
            "FERRYMAN_LEASE_NAMESPACE": "default",
            "MALLOC_ARENA_MAX": "2",  # as its image has it
            **env,
        }
        self._environment = {**os.environ, **settings}
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        with self.log.open("ab") as log:
            words = [sys.executable, "-m", "ferryman_operator"]
            self.process = subprocess.Popen(words, env=self._environment, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 20) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=timeout_s)

    def close(self) -> None:
        """End it without complaint."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """All it has logged."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def health(self) -> int:
        """The status of /livez, or 0 while nobody answers."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/livez", timeout=5).status_code
        except httpx.HTTPError:
            return 0

    def metrics(self) -> str:
        """All metrics as text; nothing while nobody answers."""
        try:
            text: str = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=30).text
        except httpx.HTTPError:
            return ""
        return text

    def memory_mib(self, field: str = "VmRSS") -> float:
        """Resident memory now, or with VmHWM at its highest."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0


def until(
    what: str, probe: Callable[[], T], holds: Callable[[T], object], timeout_s: float, every_s: float = 0.05
) -> T:
    """The first value of `probe` that `holds`. Raises AssertionError after `timeout_s`, with the last value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = probe()
        if holds(value):
            return value
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s; seen last: {value!r}"
        time.sleep(every_s)
