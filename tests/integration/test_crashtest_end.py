"""How `ferryman crash-test` ends: late when not all was done in time, and without a trace when it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "ferryman", "crash-test", "--seed", "1"]
PATIENCE_S = 120


def test_what_is_not_done_in_time_fails_the_test(tmp_path: Path) -> None:
    # Given tasks that all run when the time is up, and end while their worker stops
    words = ["--tasks", "6", "--kills", "0", "--workers", "1", "--task-ms", "8000", "--timeout", "1s"]
    logs = tmp_path / "logs"
    done = subprocess.run(
        [*COMMAND, *words, "--keep", str(logs)], text=True, capture_output=True, timeout=PATIENCE_S, check=False
    )
    # Then they are done, but not in time, and the logs stay
    assert done.returncode == 1, done.stderr
    assert "not all was done when the time was up" in done.stdout
    assert (logs / "executions.log").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc and ends children with their parent")
@pytest.mark.parametrize("end_by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_an_interrupted_test(tmp_path: Path, end_by: signal.Signals) -> None:
    # Given a run with a worker that is paused; every process of it has the mark in its environment
    mark = f"CRASH_TEST_MARK={tmp_path}"
    env = {**os.environ, "CRASH_TEST_MARK": str(tmp_path), "TMPDIR": str(tmp_path)}
    words = ["--tasks", "150", "--kills", "3", "--workers", "2", "--kinds", "pause", "--task-ms", "2000"]
    test = subprocess.Popen([*COMMAND, *words], env=env, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert test.stderr
    for line in test.stderr:
        if "kill 1/3" in line:
            break
    assert len(_marked(mark)) > 4
    # When it is ended
    test.send_signal(end_by)
    test.wait(timeout=PATIENCE_S)
    test.stderr.close()
    # Then nothing of it runs any more, the paused worker included
    ends_at = time.monotonic() + 15
    while (left := _marked(mark)) and time.monotonic() < ends_at:
        time.sleep(0.1)
    assert not left


def _marked(mark: str) -> dict[int, str]:
    """pid -> command line of the processes that have `mark` in their environment."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has just ended, or is somebody else's
    return found
