"""A missing permission is named in a condition, with the verb and the resource to grant, and heals when it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from ferryman_control_plane.install import grant, operator_rules
from ferryman_control_plane.namespace import Namespace
from ferryman_control_plane.operator_process import StartOperator, until
from ferryman_control_plane.plane import ControlPlane


def without(resource: str, verb: str) -> list[dict[str, Any]]:
    """The operator's rules, one right less."""
    rules = [{**rule, "verbs": list(rule["verbs"])} for rule in operator_rules()]
    for rule in rules:
        if resource in rule["resources"]:
            rule["verbs"].remove(verb)
    return [rule for rule in rules if rule["verbs"]]


@pytest.mark.parametrize(
    ("resource", "verb", "named"),
    [
        pytest.param("deployments", "patch", "deployments.apps", id="to write children"),
        pytest.param("cronjobs", "create", "cronjobs.batch", id="to make children"),
        pytest.param("poddisruptionbudgets", "list", "poddisruptionbudgets.policy", id="to see children"),
        pytest.param("secrets", "get", "secrets", id="to read the Secret"),
    ],
)
def test_a_missing_right_is_named_and_its_grant_heals(
    plane: ControlPlane,
    api: httpx.Client,
    namespace: Namespace,
    start_operator: StartOperator,
    redis_url: str,
    resource: str,
    verb: str,
    named: str,
) -> None:
    grant(api, "restricted", without(resource, verb))
    redis = {"secretRef": {"name": "redis", "key": "url"}}
    secret = {"metadata": {"name": "redis"}, "stringData": {"url": redis_url}}
    api.post(f"/api/v1/namespaces/{namespace.name}/secrets", json=secret).raise_for_status()
    namespace.queue("mail", redis_url, redis=redis)
    start_operator(kubeconfig=plane.folder / "restricted.kubeconfig")
    condition: Callable[[], tuple[str, str, str]] = lambda: namespace.condition("mail", "Ready")  # noqa: E731
    status, _, message = until("the condition", condition, lambda found: found[1] == "Forbidden", 60)
    assert status == "False"
    where = f"in namespace {namespace.name}"
    assert message == f"cannot {verb} {named} {where}: grant the verb {verb} on {named} to restricted"

    grant(api, "restricted", operator_rules())
    # No node, no pods: that the scheduler is not ready is all that is left to say.
    until("the grant heals", condition, lambda found: found[1] == "SchedulerNotReady", 40)
    assert namespace.replicas("mail") == 0
