"""`ferryman crash-test` for real: a short seeded run passes and says so, and an interrupt leaves no process behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ferryman.call import command
from ferryman.link import SyncLink

COMMAND = [sys.executable, "-m", "ferryman", "crash-test"]
SHORT = ["--tasks", "150", "--kills", "3", "--workers", "2", "--seed", "1", "--task-ms", "20", "--worker-timeout", "3s"]
#: Two cores of a busy machine need about 20 s.
PATIENCE_S = 120


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    # A Redis of somebody else: the crash test must not touch it.
    return {**os.environ, "FERRYMAN_REDIS_URL": "redis://127.0.0.1:1/0", "TMPDIR": str(tmp_path)}


def crash_test(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], env=env, text=True, capture_output=True, timeout=PATIENCE_S)


def test_a_short_run_accounts_for_every_task(env: dict[str, str], tmp_path: Path) -> None:
    # When three things are killed, each kind at most once
    done = crash_test(env, *SHORT, "--kinds", "sigkill,pause,scheduler", "--json")
    # Then every id is done, and nothing is left without an explanation
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["passed"], found["problems"]) == (True, [])
    assert found["fates"]["done_once"] + found["fates"]["done_more_than_once"] == 150
    assert (found["fates"]["lost"], found["unaccounted"], found["unexplained"]) == (0, 0, 0)
    assert sorted(kill["kind"] for kill in found["kills"]) == ["pause", "scheduler", "sigkill"]
    assert found["stats"]["completed"] == found["stats"]["enqueued"] == 150
    assert found["repeated"]["executions"] <= found["repeated"]["in_flight_at_kills"]
    # And the progress was on stderr, and the logs are gone
    assert "kill 3/3" in done.stderr
    assert not list(tmp_path.glob("ferryman-crash-test-*"))


def test_what_is_not_done_in_time_fails_the_test_and_keeps_the_logs(env: dict[str, str], tmp_path: Path) -> None:
    # Given more work than there is time for
    words = ["--tasks", "400", "--kills", "0", "--workers", "1", "--task-ms", "1000", "--timeout", "1s", "--json"]
    done = crash_test(env, *words, "--keep", str(tmp_path / "logs"))
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert not found["passed"]
    assert any("not done in time" in problem for problem in found["problems"])
    assert (tmp_path / "logs/executions.log").exists()


def test_nothing_is_left_in_a_redis_of_somebody_else(env: dict[str, str], redis_url: str) -> None:
    words = ["--tasks", "60", "--kills", "1", "--kinds", "sigterm", "--workers", "1", "--task-ms", "10"]
    done = crash_test(env, *words, "--redis", redis_url)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.endswith("PASSED: nothing was lost.\n")
    link = SyncLink.from_url(redis_url)
    assert link.run(command("KEYS", "*", read=list)) == []
    link.close()


@pytest.mark.parametrize(
    "words",
    [
        ["--tasks", "0"],
        ["--kinds", "earthquake"],
        ["--worker-timeout", "10ms"],
        ["--aof-restart", "--failover"],
        ["--redis", "redis://127.0.0.1:1/0", "--failover"],
    ],
)
def test_bad_usage_is_refused_before_anything_starts(env: dict[str, str], words: list[str]) -> None:
    assert crash_test(env, *words).returncode == 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and only Linux ends children with their parent")
@pytest.mark.parametrize("end_by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_an_interrupted_test(env: dict[str, str], tmp_path: Path, end_by: signal.Signals) -> None:
    # Given a run in the middle of its kills; every process of it has the mark in its environment
    mark = f"CRASH_TEST_MARK={tmp_path}"
    env = {**env, "CRASH_TEST_MARK": str(tmp_path)}
    words = [*SHORT, "--kinds", "pause", "--task-ms", "2000"]
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
