"""Each fault of `ferryman crash-test` that is not a signal, alone, against real processes: it costs nothing.

The runs are short and mostly wait, so some of them go on beside each other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from ferryman.crashtest.kinds import KINDS
from ferryman.crashtest.memory_cage import MemoryCage
from ferryman.crashtest.plan import RESPITE_MS

pytestmark = pytest.mark.alone  # four crash tests at a time are a load for the whole machine

#: Enough tasks to keep two workers busy for as long as the kills take.
SMALL = ("--tasks", "250", "--workers", "2", "--worker-timeout", "3s", "--task-ms", "200", "--seed", "2", "--json")
AT_A_TIME = 4
PATIENCE_S = 150

#: What is not among the signals of test_crashtest_command.py, and what must be seen of it.
KILLS = {kind: 2 for kind in KINDS if kind.startswith(("link-", "api"))}

#: Tasks that run when the promise runs out, so that their code must be stopped.
OPTIONS = {"link-down": ("--task-ms", "1500", "--tasks", "60", "--worker-timeout", "2s", "--seed", "13")}
#: One worker that takes longer to stop than the plan leaves between two kills.
SLOW_TO_STOP = (
    "--kinds",
    "sigterm",
    "--kills",
    "2",
    "--workers",
    "1",
    "--tasks",
    "12",
    "--task-ms",
    "2000",
    "--seed",
    "13",
)


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """Kind -> what a crash test with only this kind found; all under way."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        # The longest ones first.
        kinds = sorted(KILLS, key=lambda kind: kind != "link-down")
        runs = {
            kind: pool.submit(outcome, "--kinds", kind, "--kills", str(kills), *OPTIONS.get(kind, ()))
            for kind, kills in ((kind, KILLS[kind]) for kind in kinds)
        }
        yield {**runs, "slow to stop": pool.submit(outcome, *SLOW_TO_STOP)}


def outcome(*options: str) -> dict[str, Any]:
    words = [*SMALL, *options]
    done = subprocess.run(
        [sys.executable, "-m", "ferryman", "crash-test", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", KILLS)
def test_nothing_is_lost(kind: str, runs: dict[str, Future[dict[str, Any]]]) -> None:
    found = runs[kind].result()
    assert found["passed"]
    assert [kill["kind"] for kill in found["kills"]] == [kind] * KILLS[kind]
    fates = found["fates"]
    assert fates["done_once"] + fates["done_more_than_once"] == found["accepted"] > found["options"]["tasks"]
    assert (found["unaccounted"], found["unexplained"], found["beside_their_successor"]) == (0, 0, 0)


@pytest.mark.parametrize("kind", [kind for kind in KILLS if kind != "link-down"])
def test_a_fault_that_the_protocol_covers_is_no_reason_to_run_again(
    kind: str, runs: dict[str, Future[dict[str, Any]]]
) -> None:
    found = runs[kind].result()
    assert (found["repeats"], found["ended_by_themselves"]) == ([], [])


def test_a_link_that_is_down_for_long_costs_its_worker_its_tasks(runs: dict[str, Future[dict[str, Any]]]) -> None:
    found = runs["link-down"].result()
    assert found["stats"]["recovered"] > 0
    endings = {run["ending"] for repeat in found["repeats"] for run in repeat["executions"]}
    assert endings > {"stopped"}


def test_a_worker_that_still_stops_is_not_hit_again(runs: dict[str, Future[dict[str, Any]]]) -> None:
    first, second = runs["slow to stop"].result()["kills"]
    assert first["to_ms"] - first["from_ms"] > RESPITE_MS
    assert second["from_ms"] > first["to_ms"]
    assert first["target"] != second["target"]


def test_replies_are_really_lost(runs: dict[str, Future[dict[str, Any]]]) -> None:
    assert runs["link-lost-reply"].result()["resent"]["replies_lost_on_purpose"] > 0


def test_requests_that_were_not_answered_are_sent_again(runs: dict[str, Future[dict[str, Any]]]) -> None:
    resent = runs["api"].result()["resent"]
    assert resent["posted_tasks"] > 0
    assert resent["posts"] > 0


def test_a_worker_runs_out_of_memory_where_a_cgroup_can_be_made_and_elsewhere_the_command_says_so() -> None:
    cage = MemoryCage.build()
    if cage is None:
        refused = subprocess.run(
            [sys.executable, "-m", "ferryman", "crash-test", *SMALL, "--kinds", "oom"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert (refused.returncode, "no memory cgroup can be made here" in refused.stderr) == (1, True)
    else:
        cage.remove()
        found = outcome("--kinds", "oom", "--kills", "2")
        assert found["passed"]
        assert [kill["kind"] for kill in found["kills"]] == ["oom"] * 2
        assert found["repeated"]["in_flight_at_kills"] > 0
