"""Whose place a worker took: its lock is held by a process and all of its children, until the last one ends."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ferryman_worker.identity import Identity
from ferryman_worker.settings import WorkerSettings


def settings(folder: Path, pod_uid: str = "uid-1") -> WorkerSettings:
    return WorkerSettings(
        "redis://r", pod_uid=pod_uid, container="worker", run_dir=folder, termination_log=folder / "log"
    )


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferryman_worker.identity._LOCK_PATIENCE_S", 0.0)


def test_the_place_of_a_process_is_taken_as_long_as_any_of_its_children_lives(tmp_path: Path) -> None:
    """They may still run the code of its tasks: who takes the place takes the tasks back."""
    first = Identity(settings(tmp_path), "q")
    assert first.slot == "uid-1.worker"
    with subprocess.Popen(["sleep", "60"], pass_fds=[first._lock]) as child:
        os.close(first._lock)  # the process itself is gone
        successor = Identity(settings(tmp_path), "q")
        child.kill()
    assert successor.slot == ""
    assert Identity(settings(tmp_path), "q").slot == "uid-1.worker"


def test_each_queue_and_each_pod_has_its_own_place(tmp_path: Path) -> None:
    first = Identity(settings(tmp_path), "q")
    others = [Identity(settings(tmp_path), "other"), Identity(settings(tmp_path, "uid-2"), "q")]
    assert [identity.slot for identity in (first, *others)] == ["uid-1.worker", "uid-1.worker", "uid-2.worker"]


def test_outside_a_pod_nobody_has_a_place(tmp_path: Path) -> None:
    assert Identity(settings(tmp_path, ""), "q").slot == ""


def test_the_termination_log_names_the_worker_of_now(tmp_path: Path) -> None:
    identity = Identity(settings(tmp_path), "q")
    first, second = identity.new_worker_id(), identity.new_worker_id()

    assert first != second
    assert (tmp_path / "log").read_text() == second
    assert identity.is_mine(first)
    assert identity.is_mine(second)
    assert not identity.is_mine(Identity(settings(tmp_path), "q").new_worker_id())
