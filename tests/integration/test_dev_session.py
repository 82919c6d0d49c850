"""`ferryman dev` for real: an app in a folder, an embedded Redis, tasks run, a save is seen, Ctrl-C leaves nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

APP = """
from ferryman import Queue

emails = Queue("emails")

@emails.task
async def send(to: str) -> None:
    print(f"sent to {to}")
"""

PATIENCE_S = 120


class Dev:
    """A running `ferryman dev` and what it printed."""

    def __init__(self, folder: Path, *words: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        # A Redis of somebody else: dev must not touch it.
        env = {**os.environ, "FERRYMAN_REDIS_URL": "redis://127.0.0.1:1/0"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ferryman", "dev", "--port", str(self.port), *words],
            cwd=folder,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line

    def shows(self, text: str, after: int = 0) -> int:
        """Waits until it has printed `text`; returns where it ends."""
        ends_at = time.monotonic() + PATIENCE_S
        while text not in self.output[after:]:
            assert time.monotonic() < ends_at, f"no {text!r} in:\n{self.output}"
            assert self.process.poll() is None, f"it ended:\n{self.output}"
            time.sleep(0.05)
        return self.output.index(text, after) + len(text)

    def post(self, task: dict[str, object]) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/tasks", json.dumps(task).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return str(json.load(response)["ids"][0])

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(10)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def children(self) -> list[str]:
        """Every process that works in this folder or was told of it, however far down."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if entry.name.isdigit() and int(entry.name) != os.getpid() and str(self.folder).encode() in told:
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found


@pytest.fixture
def start_dev(tmp_path: Path) -> Iterator[Callable[..., Dev]]:
    started: list[Dev] = []

    def start(*words: str) -> Dev:
        started.append(Dev(tmp_path, *words))
        return started[-1]

    yield start
    for dev in started:
        dev.stop()


def test_a_session_runs_tasks_sees_a_save_and_leaves_nothing_behind(
    start_dev: Callable[..., Dev], tmp_path: Path
) -> None:
    app = tmp_path / "app.py"
    app.write_text(APP)
    dev = start_dev()
    dev.shows("Next, in another terminal:")
    [body] = re.findall(r"curl \S+/tasks .*-d '(.*)'", dev.output)
    assert json.loads(body) == {"queue": "emails", "task": "send", "args": {"to": "hello"}}
    dev.shows("serving queue emails")
    dev.post(json.loads(body))
    at = dev.shows("sent to hello")

    app.write_text(APP + "oops(\n")
    at = dev.shows("SyntaxError", at)
    dev.post({"queue": "emails", "task": "send", "args": {"to": "the good version"}})
    at = dev.shows("sent to the good version", at)

    app.write_text(APP.replace("sent", "posted"))
    at = dev.shows("serving queue emails", at)
    dev.post({"queue": "emails", "task": "send", "args": {"to": "bob"}})
    dev.shows("posted to bob", at)

    assert dev.children()
    assert dev.stop() == 0
    assert "Traceback" not in dev.output[at:]
    assert dev.children() == []


def test_tasks_wait_in_the_folder_for_the_next_session(start_dev: Callable[..., Dev], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    first = start_dev()
    first.shows("serving queue emails")
    first.shows("Next, in another terminal:")
    task_id = first.post({"queue": "emails", "task": "send", "args": {"to": "later"}, "delay": "1h"})
    assert first.stop() == 0
    second = start_dev()
    second.shows("Next, in another terminal:")
    with urllib.request.urlopen(f"http://127.0.0.1:{second.port}/tasks/emails/{task_id}", timeout=10) as found:
        assert json.load(found)["state"] == "delayed"


def test_nothing_outlives_a_session_that_was_killed(start_dev: Callable[..., Dev], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    dev = start_dev()
    dev.shows("serving queue emails")
    dev.process.kill()
    dev.stop()
    ends_at = time.monotonic() + PATIENCE_S
    while dev.children():
        assert time.monotonic() < ends_at, dev.children()
        time.sleep(0.1)


def test_a_second_session_in_the_same_folder_is_refused(start_dev: Callable[..., Dev], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    start_dev().shows("Next, in another terminal:")
    second = start_dev()
    assert second.process.wait(PATIENCE_S) == 1
    second.stop()
    assert "another `ferryman dev` runs here" in second.output


@pytest.mark.parametrize(
    ("words", "content", "says"),
    [
        ((), None, 'emails = Queue("emails")'),
        (("--app", "nowhere.tasks"), None, "there is no module 'nowhere'"),
        (("--app", "app.py"), "x = 1\n", "defines no queue"),
        (("--app", "app.py"), "import nowhere\n", "nowhere"),
    ],
)
def test_an_app_that_cannot_be_run_is_said_before_anything_starts(
    start_dev: Callable[..., Dev], tmp_path: Path, words: tuple[str, ...], content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "app.py").write_text(content)
    dev = start_dev(*words)
    assert dev.process.wait(PATIENCE_S) == 1
    dev.stop()
    assert says in dev.output
    assert dev.children() == []
