"""One `ferryman worker`, as a process of the tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

APP = Path(__file__).with_name("app.py")
#: Chosen by the environment's YARD_APP.
TOLD_APP = Path(__file__).with_name("told_app.py")
RESULTS_APP = Path(__file__).with_name("results_app.py")
#: Where apps find the others that they build on.
_YARD = str(APP.parents[1])


class WorkerProcess:
    """In a process group of its own; what it logs is in a file."""

    def __init__(self, directory: Path, redis_url: str, number: int, **env: str) -> None:
        self.log = directory / f"worker-{number}.log"
        settings = {
            "FERRYMAN_REDIS_URL": redis_url,
            "FERRYMAN_PORT": "0",
            "FERRYMAN_WORKER_TIMEOUT": "60s",
            "FERRYMAN_RUN_DIR": str(directory),
            "FERRYMAN_TERMINATION_LOG": str(directory / "termination-log"),
            "YARD_LOG": str(directory / "ran"),
            "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), _YARD))),
            **env,
        }
        with self.log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ferryman_worker", "bench", "--app", env.get("YARD_APP", str(APP))],
                env={**os.environ, **{name: value for name, value in settings.items() if value}},
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """The process has not ended."""
        return self.process.poll() is None

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text()

    @property
    def port(self) -> int:
        """Where it answers probes."""
        match = re.search(r"on port (\d+)", self.said())
        assert match
        return int(match[1])

    def signal(self, number: int, *, group: bool = False) -> None:
        """To the worker, or to all of its processes."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self) -> None:
        """As the end of a test does it."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL, group=True)
        self.process.wait(timeout=20)


def in_pod(uid: str = "pod-1", **env: str) -> dict[str, str]:
    """The environment of a worker in the container of a pod."""
    return {"FERRYMAN_POD_UID": uid, "FERRYMAN_CONTAINER": "worker", **env}


def alive(pid: int) -> bool:
    """It exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def children(pid: int) -> Iterator[int]:
    """All descendants."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        yield from children(int(child))


def parent(pid: int) -> int:
    """Who forked it, or who has it now."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
