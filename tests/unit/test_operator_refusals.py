"""What the API server says of a missing right becomes what is to be granted, and to whom."""

import pytest
from ferryman_operator.refusals import sentence

ACCOUNT = "system:serviceaccount:ferryman-system:ferryman-operator"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(
            f'deployments.apps "q-worker" is forbidden: User "{ACCOUNT}" cannot patch resource "deployments" '
            'in API group "apps" in the namespace "ns"',
            f"cannot patch deployments.apps in namespace ns: grant the verb patch on deployments.apps to {ACCOUNT}",
            id="in a namespace",
        ),
        pytest.param(
            f'secrets "s" is forbidden: User "{ACCOUNT}" cannot get resource "secrets" in API group "" '
            'in the namespace "ns"',
            f"cannot get secrets in namespace ns: grant the verb get on secrets to {ACCOUNT}",
            id="of the core group",
        ),
        pytest.param(
            f'taskqueues.ferryman.dev "q" is forbidden: User "{ACCOUNT}" cannot patch resource "taskqueues/status" '
            'in API group "ferryman.dev" in the namespace "ns"',
            f"cannot patch taskqueues.ferryman.dev/status in namespace ns: grant the verb patch on "
            f"taskqueues.ferryman.dev/status to {ACCOUNT}",
            id="a subresource",
        ),
        pytest.param(
            f'pods is forbidden: User "{ACCOUNT}" cannot list resource "pods" in API group "" at the cluster scope',
            f"cannot list pods in the whole cluster: grant the verb list on pods to {ACCOUNT}",
            id="everywhere",
        ),
        pytest.param(
            'pods "q" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5',
            'pods "q" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5',
            id="no question of rights",
        ),
    ],
)
def test_a_missing_right_is_named(said: str, told: str) -> None:
    assert sentence(said) == told
