"""What `ferryman crash-test --kubernetes` says when something is missing. kubectl is a script here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

Run = Callable[[Mapping[str, Any]], str]

OPERATOR = {
    "metadata": {"name": "ferryman-operator", "namespace": "ferryman-system"},
    "spec": {"template": {"spec": {"containers": [{"image": "ghcr.io/acme/ferryman-operator:1"}]}}},
    "status": {"readyReplicas": 1},
}
READY = {"get --raw /readyz": "ok", "get crd": {"metadata": {"name": "taskqueues.ferryman.dev"}}}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the command; `answers`: the beginning of kubectl's words -> what it prints. The rest is refused."""

    def run(answers: Mapping[str, Any]) -> str:
        words = {key: value if isinstance(value, str) else json.dumps(value) for key, value in answers.items()}
        program = tmp_path / "kubectl"
        program.write_text(
            f"#!{sys.executable}\nimport sys\nanswers = {words!r}\n"
            "asked = ' '.join(sys.argv[3:])\n"
            f"open({str(tmp_path / 'asked')!r}, 'a').write(asked.splitlines()[0] + '\\n')\n"
            "for start, answer in answers.items():\n"
            "    if asked.startswith(start):\n"
            "        print(answer)\n"
            "        sys.exit()\n"
            "sys.exit(f'error: not allowed: {asked}')\n"
        )
        program.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-m", "ferryman", "crash-test", "--kubernetes", "--seed", "1"],
            env={**os.environ, "PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    return run


def test_no_cluster(run: Run) -> None:
    assert "no cluster answers; is the kubeconfig right?" in run({})


def test_no_crd(run: Run) -> None:
    said = run({"get --raw /readyz": "ok", "get crd": ""})
    assert "this cluster has no taskqueues.ferryman.dev. Install Ferryman first" in said


def test_no_operator(run: Run) -> None:
    said = run({**READY, "get deployments": {"items": []}})
    assert "no Deployment of Ferryman's operator" in said


def test_an_operator_that_does_not_run(run: Run, tmp_path: Path) -> None:
    said = run({**READY, "get deployments": {"items": [OPERATOR | {"status": {}}]}})
    assert "kubectl -n ferryman-system scale deployment/ferryman-operator --replicas=1" in said
    assert not any(
        line.startswith(("apply", "delete", "create")) for line in (tmp_path / "asked").read_text().split("\n")
    )


def test_an_image_that_cannot_be_pulled_is_named_and_all_is_removed(run: Run, tmp_path: Path) -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    pod = {
        "metadata": {"name": "crash-test-redis-0"},
        "status": {"containerStatuses": [{"image": "valkey:none", "restartCount": 0, "state": waiting}]},
    }
    said = run(
        {
            **READY,
            "get deployments": {"items": [OPERATOR]},
            "get statefulsets": {"items": []},
            "get storageclasses": {"items": []},
            "get namespace": "",
            "get pods": {"items": [pod]},
            "apply": "",
            "delete": "",
        }
    )
    assert "crash-test-redis-0 can't start (valkey:none): ImagePullBackOff: no such image" in said
    asked = (tmp_path / "asked").read_text()
    assert "delete taskqueues" in asked
    assert "delete namespace ferryman-crash-test-" in asked
