"""The worker's environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from ferryman_worker.identity import Identity
from ferryman_worker.settings import WorkerSettings

from ferryman.settings import BadSetting


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = WorkerSettings.from_env({}, "redis://r")
    assert settings == WorkerSettings("redis://r")
    assert (settings.concurrency, settings.timeout_ms, settings.grace_ms, settings.port) == (10, None, 25_000, 8080)


def test_everything_can_be_set() -> None:
    env = {
        "FERRYMAN_CONCURRENCY": "7",
        "FERRYMAN_WORKER_TIMEOUT": "30s",
        "FERRYMAN_TASK_TIMEOUT": "5m",
        "FERRYMAN_SHUTDOWN_GRACE": "0",
        "FERRYMAN_HANG_TIMEOUT": "90",
        "FERRYMAN_PORT": "0",
        "FERRYMAN_POD_UID": "uid",
        "FERRYMAN_POD_NAME": "emails-worker-1",
        "FERRYMAN_CONTAINER": "worker",
        "FERRYMAN_RUN_DIR": "/run/f",
        "FERRYMAN_TERMINATION_LOG": "/dev/t",
        "FERRYMAN_LOG_TASKS": "true",
    }
    assert WorkerSettings.from_env(env, "redis://r") == WorkerSettings(
        "redis://r",
        7,
        30_000,
        300_000,
        0,
        90_000,
        0,
        "uid",
        "emails-worker-1",
        "worker",
        Path("/run/f"),
        Path("/dev/t"),
        True,
    )
    assert WorkerSettings.from_env(env, "redis://r", concurrency=3).concurrency == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FERRYMAN_CONCURRENCY", "many"),
        ("FERRYMAN_CONCURRENCY", "0"),
        ("FERRYMAN_PORT", "70000"),
        ("FERRYMAN_WORKER_TIMEOUT", "soon"),
        ("FERRYMAN_WORKER_TIMEOUT", "10ms"),
        ("FERRYMAN_LOG_TASKS", "perhaps"),
    ],
)
def test_a_bad_value_is_refused_by_the_variable_s_name(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=name):
        WorkerSettings.from_env({name: value}, "redis://r")


def pod(tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(
        "redis://r", pod_uid="uid-1", container="worker", run_dir=tmp_path, termination_log=tmp_path / "log"
    )


def test_a_worker_s_id_names_pod_and_container_and_is_left_for_kubernetes_to_find(tmp_path: Path) -> None:
    identity = Identity(pod(tmp_path), "emails")
    worker = identity.new_worker_id()
    assert worker.startswith("uid-1.worker.")
    assert (tmp_path / "log").read_text() == worker
    assert identity.new_worker_id() != worker
    assert identity.slot == "uid-1.worker"


def test_only_one_process_holds_a_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferryman_worker.identity._LOCK_PATIENCE_S", 0.0)
    first = Identity(pod(tmp_path), "emails")
    second = Identity(pod(tmp_path), "emails")
    assert (first.slot, second.slot) == ("uid-1.worker", "")


def test_outside_a_pod_there_is_no_slot_and_nothing_is_written(tmp_path: Path) -> None:
    settings = WorkerSettings("redis://r", run_dir=tmp_path, termination_log=tmp_path / "log")
    identity = Identity(settings, "emails")
    identity.new_worker_id()
    assert identity.slot == ""
    assert list(tmp_path.iterdir()) == []
