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

pytestmark = pytest.mark.alone  # three crash tests at a time are a load for the whole machine

ROOT = Path(__file__).parents[2]
SMALL = ("--tasks", "150", "--workers", "2", "--worker-timeout", "2s", "--task-ms", "300", "--seed", "1")
PATIENCE_S = 150


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


BREAKS = (RECOVERY_DROPS, COMPLETES_BEFORE_IT_RUNS, GIVES_BACK_WHAT_IT_HAS_DONE)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Break, Future[dict[str, Any]]]]:
    """What a crash test of each broken product found; all under way at once."""
    with ThreadPoolExecutor(len(BREAKS)) as pool:
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
