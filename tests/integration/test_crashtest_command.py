"""`ferryman crash-test` as a person runs it: workers that are really killed, a product that is really broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ferryman.broker import Broker
from ferryman.call import command
from ferryman.link import Link
from ferryman.task import NewTask

ROOT = Path(__file__).parents[2]
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


def test_kills_of_every_kind_lose_nothing(tmp_path: Path) -> None:
    found = outcome(*SMALL, "--kills", "6", "--keep", str(tmp_path / "logs"))
    fates = found["fates"]
    assert found["passed"]
    assert fates["done_once"] + fates["done_more_than_once"] + fates["dead"] == 150
    assert (fates["lost"], found["unaccounted"], found["unexplained"]) == (0, 0, 0)
    assert {kill["kind"] for kill in found["kills"]} == set(found["options"]["kinds"])
    assert found["repeated"]["in_flight_at_kills"] > 0
    assert (tmp_path / "logs" / "executions.log").exists()


@pytest.mark.parametrize("words", [("--aof-restart", "always"), ("--failover",)], ids=["aof-restart", "failover"])
def test_a_redis_that_dies_loses_nothing_beyond_its_bound(words: tuple[str, ...]) -> None:
    found = outcome(*SMALL, *words, "--kills", "2", "--kinds", "scheduler")
    assert found["passed"]
    assert [kill["kind"] for kill in found["kills"]].count("redis") == 1
    assert found["stats"]["enqueued"] == 150


async def test_a_redis_that_is_not_ours_is_left_as_it_was(redis_url: str, real_link: Link) -> None:
    found = outcome(*SMALL, "--kills", "1", "--kinds", "sigkill", "--redis", redis_url)
    assert found["passed"]
    assert await real_link.run(command("DBSIZE", read=int)) == 0


async def test_a_queue_that_somebody_uses_is_refused(redis_url: str, real_link: Link) -> None:
    await real_link.run(Broker("emails").enqueue([NewTask("t1", "send", b"{}")]))
    refused = crash_test(*SMALL, "--redis", redis_url, "--queue", "emails")
    assert refused.returncode == 1
    assert "the queue emails is in use here: 1 tasks" in refused.stderr


def test_a_product_that_loses_tasks_fails(tmp_path: Path) -> None:
    """The recovery drops what a dead worker held: whoever believes in a crash test should see it fail."""
    for part in ("src", "worker", "scheduler"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    recover = tmp_path / "src/ferryman/scripts/recover.lua"
    kept = recover.read_text()
    recover.write_text(kept.replace("redis.call('RPUSH', waiting, held_id)", ""))
    assert recover.read_text() != kept
    path = os.pathsep.join(str(tmp_path / folder) for folder in ("src", "worker/src", "scheduler/src"))
    words = ("--kills", "3", "--kinds", "sigkill", "--timeout", "5s", "--keep", str(tmp_path / "logs"), "--json")
    broken = crash_test(*SMALL, *words, PYTHONPATH=path)
    assert broken.returncode == 1, broken.stderr
    found = json.loads(broken.stdout)
    assert not found["passed"]
    assert found["unaccounted"] > 0
    assert len(found["not_done"]) >= found["unaccounted"]


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
    assert all(f"\n    {kind}  " in words for kind in ("sigkill", "pod-gone", "sigterm", "sigterm-twice", "pause"))
