"""The sample project, used as its team would: its tests without a Redis, and its types under strict checkers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "examples/shop"

#: Nothing listens there: a test that needed a Redis would fail.
NO_REDIS = {"FERRYMAN_REDIS_URL": "redis://127.0.0.1:1/0"}


def run_in_shop(*words: str) -> str:
    """What the command printed. It must succeed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "FERRYMAN_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", *words],
        cwd=SHOP,
        env={**environment, **NO_REDIS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("server", ["fake", "embedded"])
def test_its_tests_pass_on_either_kind_of_server(server: str) -> None:
    words = ("-q", "-p", "no:schemathesis", "-p", "no:cacheprovider", f"--ferryman-redis={server}")
    assert " passed in " in run_in_shop("-m", "pytest", *words)


def test_its_django_tests_pass_with_djangos_own_runner() -> None:
    assert "\nOK\n" in run_in_shop("manage.py", "test")


@pytest.mark.parametrize("checker", [("mypy",), ("basedpyright", "--pythonpath", sys.executable, "--level", "error")])
def test_its_types_are_clean_under_strict_checkers(checker: tuple[str, ...]) -> None:
    run_in_shop("-W", "default", "-m", *checker)
