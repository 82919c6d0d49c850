"""`ferryman crash-test --kubernetes`, as a user runs it: short and seeded; and the bounds with fewer rescuers."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.system import OPERATOR

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(600)]  # kills operator, scheduler, Redis

#: A busy machine starts a container slowly, and that is part of a wait; a rescuer that fails costs 15 s or more.
_SLOW_MACHINE = 2.0


def crash_test(installed: Kubectl, *options: str) -> dict[str, Any]:
    """Runs it; its JSON. Fails with what it said when it did not pass."""
    kubectl = installed.command()[0]
    path = os.pathsep.join([os.path.dirname(kubectl), installed.environment.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "ferryman", "crash-test", "--kubernetes", "--json", *options],
        env={**installed.environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    outcome: dict[str, Any] = json.loads(done.stdout)
    print(json.dumps({name: outcome[name] for name in ("took_s", "fates", "repeated", "recovery_s")}))
    return outcome


def left_by_crash_tests(installed: Kubectl) -> list[str]:
    """Namespaces that a crash test made and did not remove."""
    found = installed.list("namespaces", "ferryman.dev/crash-test")
    return [one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]]


def test_nothing_is_lost_under_every_kind_of_kill(installed: Kubectl) -> None:
    outcome = crash_test(
        installed, *("--for", "75s", "--kills", "9", "--tasks", "800", "--task-ms", "700", "--seed", "4")
    )
    assert outcome["fates"]["lost"] == outcome["unaccounted"] == outcome["unexplained"] == 0
    assert outcome["fates"]["done_once"] + outcome["fates"]["done_more_than_once"] + outcome["fates"]["dead"] == 800
    workflows, features = outcome["workflows"], outcome["features"]
    assert workflows["released_once"] == workflows["waited_for_others"] > 0
    assert features["lane_tasks"] > 0 < features["lane_most"] <= features["lane_limit"]
    struck = {kill["kind"] for kill in outcome["kills"]}
    assert {"pod-force-delete", "container-oom", "operator", "scheduler", "redis", "redis-pod"} <= struck
    assert outcome["repeated"]["in_flight_at_kills"] > 0, "the kills hit nobody: they prove nothing"
    assert left_by_crash_tests(installed) == []


@pytest.mark.long
def test_waits_are_bounded_whoever_is_left_to_notice(installed: Kubectl) -> None:
    outcome = crash_test(
        installed,
        # With this seed the kinds come in this order, well apart, and the first three while all slots are busy.
        *("--for", "230s", "--kills", "4", "--tasks", "1200", "--task-ms", "4000", "--seed", "0"),
        *("--kinds", "pod-force-delete,container-oom,heartbeat-only,cronjob-only"),
    )
    rows = {(row["kind"], row["bound"]): row for row in outcome["recovery_s"]}
    bounds = {kind: bound for kind, bound in rows if bound is not None}
    assert bounds == {"pod-force-delete": 5, "container-oom": 1, "heartbeat-only": 20, "cronjob-only": 75}
    for (_, bound), row in rows.items():
        assert row["from_death_or_restart"]["max"] <= bound + _SLOW_MACHINE, row
    for kill in outcome["kills"]:
        assert kill["recovery_s"] or kill["isolated_s"], f"nothing had to be recovered: {kill}"
    operator = installed.get(*OPERATOR.split("/")) or {}
    assert operator["spec"]["replicas"] == 1, "the operator is back"
    assert left_by_crash_tests(installed) == []
