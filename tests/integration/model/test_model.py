"""The model test: random interleavings of everything that workers, schedulers and people do, against a real server.

FERRYMAN_MODEL_EXAMPLES makes it longer, and random: every run is another one then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from ferryman_model.machine import QueueMachine
from ferryman_model.stage import Stage
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

#: About a minute of one core.
EXAMPLES = 600
STEPS = 60


@pytest.fixture
def stage(redis_url: str) -> Iterator[Stage]:
    stage = Stage(redis_url)
    yield stage
    stage.close()


@pytest.mark.timeout(0)
def test_nothing_is_lost_whatever_happens_in_whatever_order(stage: Stage) -> None:
    wished = os.environ.get("FERRYMAN_MODEL_EXAMPLES")
    machine: type[Any] = type("Queue", (QueueMachine,), {"stage": stage})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(wished or EXAMPLES),
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not wished,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
