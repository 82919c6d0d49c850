"""`ferryman crash-test` against a product that is really broken: whoever believes in it should see it fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.alone  # some crash tests at a time are a load for the whole machine

ROOT = Path(__file__).parents[2]
SMALL = ("--tasks", "150", "--workers", "2", "--worker-timeout", "2s", "--task-ms", "300", "--seed", "1")
PATIENCE_S = 150
AT_A_TIME = 4


@dataclass(frozen=True)
class Break:
    """`old` is replaced by `new` in `file`; the crash test is then asked for `words`."""

    file: str
    old: str
    new: str
    words: tuple[str, ...]


RECOVERY_DROPS = Break(
    "src/ferryman/scripts/recover.lua",
    "redis.call('RPUSH', waiting, held_id)",
    "",
    ("--kills", "3", "--kinds", "sigkill", "--timeout", "5s"),
)
COMPLETES_BEFORE_IT_RUNS = Break(
    "worker/src/ferryman_worker/processor.py",
    "            value = await self._run(slot, delivery, part, run, arguments, settings.keep_result_ms)",
    '            self._acker.complete(delivery, 0.0, b"")\n'
    "            self._pool and self._pool._progress()\n"
    "            value = await self._run(slot, delivery, part, run, arguments, settings.keep_result_ms)",
    ("--kills", "2", "--kinds", "sigkill", "--timeout", "5s"),
)
GIVES_BACK_WHAT_IT_HAS_DONE = Break(
    "worker/src/ferryman_worker/processor.py",
    '            self._acker.complete(delivery, run_s, self._kept(delivery, keep_ms, value) if keep_ms else b"")',
    "            done_before = delivery.token > 1 or not delivery.id.endswith('7')\n"
    '            self._acker.complete(delivery, run_s, b"") if done_before else self._acker.give_back([delivery])',
    ("--kills", "0"),
)
#: The schedulers die, as they may: that alone fires nothing twice, and misses nothing.
SCHEDULERS_DIE = ("--kills", "4", "--kinds", "scheduler")
FIRES_AN_OCCURRENCE_TWICE = Break(
    "src/ferryman/scripts/fire.lua",
    "if reply ~= 1 and reply[1] ~= 'ok' then return reply end",
    "if reply ~= 1 and reply[1] ~= 'ok' then return reply end\n"
    "local again = {unpack(ARGV, 6)}\n"
    "for i = 2, 3 do if string.find(again[i], ':', 1, true) then again[i] = again[i] .. '.again' end end\n"
    "enqueue({unpack(KEYS, 1, #KEYS - 1)}, again)",
    SCHEDULERS_DIE,
)
PASSES_AN_OCCURRENCE_OVER = Break(
    "src/ferryman/scripts/fire.lua",
    "if overlap == 'pass' then",
    "if overlap == 'pass' or tonumber(occurrence) % 3000 == 0 then",
    SCHEDULERS_DIE,
)
LETS_ONE_MORE_INTO_A_LANE = Break(
    "src/ferryman/scripts/parts/lane.lua",
    "lane = {said(1), said(3), said(5)}",
    "lane = {said(1) + 1, said(3), said(5)}",
    ("--kills", "2", "--kinds", "sigkill", "--tasks", "600"),
)
LEAVES_A_LANE_WHEN_ITS_LAST_TASK_HAS_ENDED = Break(
    "src/ferryman/scripts/parts/lane.lua",
    "  else redis.pcall('ZREM', lane_root .. 'lanes', name) end",
    "  end",
    ("--kills", "0"),
)
GIVES_A_UNIQUE_KEY_TWICE = Break(
    "src/ferryman/scripts/enqueue.lua",
    "  if not f[2] then return owner end",
    "  if not f[2] then return false end",
    ("--kills", "2", "--kinds", "scheduler"),
)
RELEASES_A_JOIN_TWICE = Break(
    "src/ferryman/scripts/parts/workflow.lua",
    "  redis.pcall('HINCRBY', hash, 'released', 1)",
    "  redis.pcall('HINCRBY', hash, 'released', 2)\n  redis.pcall('LPUSH', flow_root .. 'waiting', id)",
    ("--kills", "0", "--timeout", "5s"),
)

BREAKS = (
    RECOVERY_DROPS,
    COMPLETES_BEFORE_IT_RUNS,
    GIVES_BACK_WHAT_IT_HAS_DONE,
    FIRES_AN_OCCURRENCE_TWICE,
    PASSES_AN_OCCURRENCE_OVER,
    LETS_ONE_MORE_INTO_A_LANE,
    LEAVES_A_LANE_WHEN_ITS_LAST_TASK_HAS_ENDED,
    GIVES_A_UNIQUE_KEY_TWICE,
    RELEASES_A_JOIN_TWICE,
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Break, Future[dict[str, Any]]]]:
    """What a crash test of each broken product found; some under way at once."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {how: pool.submit(broken_outcome, tmp_path_factory.mktemp("copy"), how) for how in BREAKS}


def broken_outcome(folder: Path, how: Break) -> dict[str, Any]:
    """What a crash test of a copy of the product that is broken like this found. It must fail."""
    for part in ("src", "worker", "scheduler"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / how.file
    kept = file.read_text()
    file.write_text(kept.replace(how.old, how.new))
    assert file.read_text() != kept
    path = os.pathsep.join(str(folder / source) for source in ("src", "worker/src", "scheduler/src"))
    done = subprocess.run(
        [sys.executable, "-m", "ferryman", "crash-test", *SMALL, *how.words, "--keep", str(folder / "logs"), "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 1, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert not found["passed"]
    return found


def test_a_recovery_that_drops_what_a_dead_worker_held(runs: dict[Break, Future[dict[str, Any]]]) -> None:
    found = runs[RECOVERY_DROPS].result()
    assert found["unaccounted"] > 0
    assert sum(len(ids) for ids in found["ids"].values()) >= found["unaccounted"]


def test_a_worker_that_completes_a_task_before_it_runs(runs: dict[Break, Future[dict[str, Any]]]) -> None:
    found = runs[COMPLETES_BEFORE_IT_RUNS].result()
    assert found["fates"]["lost"] == len(found["ids"]["lost"]) > 0
    assert found["unaccounted"] == 0  # Redis' own counters can't know


def test_a_worker_that_gives_back_what_it_has_done(runs: dict[Break, Future[dict[str, Any]]]) -> None:
    found = runs[GIVES_BACK_WHAT_IT_HAS_DONE].result()
    assert (found["fates"]["lost"], found["unaccounted"]) == (0, 0)
    assert found["unexplained"] > 0
    assert len(found["ids"]["done_more_than_once"]) > 0


def test_a_scheduler_that_fires_an_occurrence_twice(runs: dict[Break, Future[dict[str, Any]]]) -> None:
    found = runs[FIRES_AN_OCCURRENCE_TWICE].result()
    assert found["features"]["fired_twice"] > 0
    assert found["features"]["surplus"] >= found["features"]["fired_twice"]
    assert (found["features"]["missed"], found["fates"]["lost"], found["unaccounted"]) == (0, 0, 0)


def test_a_scheduler_that_passes_an_occurrence_over(runs: dict[Break, Future[dict[str, Any]]]) -> None:
    features = runs[PASSES_AN_OCCURRENCE_OVER].result()["features"]
    assert 0 < features["missed"] < features["occurrences"]
    assert features["fired_twice"] == features["surplus"] == 0


def test_a_lane_that_lets_in_one_more_than_it_may(runs: dict[Break, Future[dict[str, Any]]]) -> None:
    found = runs[LETS_ONE_MORE_INTO_A_LANE].result()
    assert found["features"]["lane_over"] > 0
    assert found["features"]["lane_most"] == found["features"]["lane_limit"] + 1
    assert (found["fates"]["lost"], found["unaccounted"]) == (0, 0)


def test_a_lane_that_is_left_behind(runs: dict[Break, Future[dict[str, Any]]]) -> None:
    found = runs[LEAVES_A_LANE_WHEN_ITS_LAST_TASK_HAS_ENDED].result()
    assert found["problems"] == [
        f"{found['features']['lanes']} lanes that Redis keeps although nothing is left in them"
    ]


def test_a_unique_key_that_two_tasks_have(runs: dict[Break, Future[dict[str, Any]]]) -> None:
    found = runs[GIVES_A_UNIQUE_KEY_TWICE].result()
    assert found["features"]["unique_together"] > 0
    assert (found["fates"]["lost"], found["unaccounted"]) == (0, 0)


def test_a_join_that_is_released_twice(runs: dict[Break, Future[dict[str, Any]]]) -> None:
    found = runs[RELEASES_A_JOIN_TWICE].result()
    assert found["workflows"]["released_once"] < found["workflows"]["waited_for_others"]
