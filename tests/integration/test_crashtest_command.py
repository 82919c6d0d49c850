"""`ferryman crash-test` as a person runs it: workers that are really killed, a product that is really broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ferryman.broker import Broker
from ferryman.call import command
from ferryman.crashtest.kinds import KINDS
from ferryman.link import Link
from ferryman.new_task import NewTask

#: Two workers, of which one is killed after the other, with deaths noticed fast.
SMALL = ("--tasks", "150", "--workers", "2", "--worker-timeout", "2s", "--task-ms", "300", "--seed", "1")


def crash_test(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ferryman", "crash-test", *words],
        capture_output=True,
        text=True,
        timeout=150,
        env={**os.environ, **env},
        check=False,
    )


def outcome(*words: str) -> dict[str, Any]:
    done = crash_test(*words, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def assert_features(found: dict[str, Any]) -> None:
    """Schedules, unique keys, lanes and workflows were there, and beside 150 tasks there are those that they made."""
    features, workflows = found["features"], found["workflows"]
    assert found["accepted"] >= 150 + features["occurrences"] + features["unique_created"]
    assert features["schedules"] == 2
    assert features["occurrences"] > 0
    assert 0 < features["unique_created"] < features["unique_enqueues"]
    assert features["lane_tasks"] > 0 < features["lane_most"] <= features["lane_limit"]
    assert workflows["released_once"] == workflows["waited_for_others"] > 0


def test_kills_of_processes_lose_nothing(tmp_path: Path) -> None:
    kinds = "sigkill,pod-gone,sigterm,sigterm-twice,pause,scheduler"
    found = outcome(*SMALL, "--kills", "6", "--kinds", kinds, "--keep", str(tmp_path / "logs"))
    fates = found["fates"]
    assert found["passed"]
    assert fates["done_once"] + fates["done_more_than_once"] + fates["dead"] == found["accepted"]
    assert_features(found)
    assert (fates["lost"], found["unaccounted"], found["unexplained"]) == (0, 0, 0)
    assert {kill["kind"] for kill in found["kills"]} == set(found["options"]["kinds"])
    assert found["repeated"]["in_flight_at_kills"] > 0
    assert (tmp_path / "logs" / "executions.log").exists()
    words = "--tasks 150 --kills 6 --seed 1 --workers 2 --task-ms 300 --worker-timeout 2000ms"
    assert found["replay"] == f"ferryman crash-test {words} --kinds {kinds}"


@pytest.mark.parametrize("words", [("--aof-restart", "always"), ("--failover",)], ids=["aof-restart", "failover"])
def test_a_redis_that_dies_loses_nothing_beyond_its_bound(words: tuple[str, ...]) -> None:
    found = outcome(*SMALL, *words, "--kills", "2", "--kinds", "scheduler")
    assert found["passed"]
    assert [kill["kind"] for kill in found["kills"]].count("redis") == 1
    assert found["stats"]["enqueued"] == found["accepted"]
    assert_features(found)


async def test_a_redis_that_is_not_ours_is_left_as_it_was(redis_url: str, real_link: Link) -> None:
    found = outcome(*SMALL, "--kills", "1", "--kinds", "sigkill", "--redis", redis_url)
    assert found["passed"]
    assert await real_link.run(command("DBSIZE", read=int)) == 0


async def test_a_queue_that_somebody_uses_is_refused(redis_url: str, real_link: Link) -> None:
    await real_link.run(Broker("emails").enqueue([NewTask("t1", "send", b"{}")]))
    refused = crash_test(*SMALL, "--redis", redis_url, "--queue", "emails")
    assert refused.returncode == 1
    assert "the queue emails is in use here: 1 tasks" in refused.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--kinds", "sigkill,earthquake"), "'earthquake' is none of"),
        (("--kinds", ","), "name at least one"),
        (("--tasks", "0"), "--tasks"),
        (("--worker-timeout", "10ms"), "taken for death"),
        (("--redis", "redis://127.0.0.1:1/0", "--failover"), "is not ours"),
        (("--aof-restart", "--failover"), "exclude each other"),
    ],
)
def test_bad_usage_exits_with_2(words: tuple[str, ...], says: str) -> None:
    refused = crash_test(*words)
    assert refused.returncode == 2
    assert says in refused.stderr


def test_the_help_says_what_each_kill_does() -> None:
    words = crash_test("--help").stdout
    assert "Example:\n    ferryman crash-test" in words
    assert all(f"\n    {kind} " in words for kind in KINDS)
    assert "only --kubernetes can kill it" in words
