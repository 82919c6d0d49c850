"""Fixtures of the scenes on a real cluster: kubectl, the installed chart, and a queue in a namespace of its own.

The cluster is the one in .cluster (make cluster-up); the chart is installed when it is missing. Each scene gets a
new namespace that enforces the pod security standard `restricted`, and a queue name that was never used before.
"""

import secrets
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))  # --import-mode=importlib leaves sys.path alone

from ferryman_e2e import diagnostics  # noqa: E402
from ferryman_e2e.api import Api  # noqa: E402
from ferryman_e2e.forward import Forward  # noqa: E402
from ferryman_e2e.kubectl import Kubectl, Refused  # noqa: E402
from ferryman_e2e.node import Node  # noqa: E402
from ferryman_e2e.operator_metrics import OperatorMetrics  # noqa: E402
from ferryman_e2e.scene_queue import SYSTEM, SceneQueue, slug  # noqa: E402
from ferryman_e2e.system import System  # noqa: E402
from ferryman_e2e.waiting import until  # noqa: E402

_REPORT = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_REPORT] = report
    return report


@pytest.fixture(scope="session")
def cluster() -> Kubectl:
    """kubectl on the running cluster."""
    kubectl = Kubectl(ROOT / ".cluster/bin/kubectl", ROOT / ".cluster/kubeconfig")
    try:
        kubectl.run("get", "--raw", "/readyz", "--request-timeout=5s")
    except (OSError, Refused) as error:
        pytest.fail(f"no cluster runs ({error}). Bring it up: make cluster-up", pytrace=False)
    return kubectl


@pytest.fixture(scope="session")
def installed(cluster: Kubectl) -> Kubectl:
    """kubectl in ferryman-system, where the chart is installed and ready; installs it when it is missing."""
    system = cluster.within(SYSTEM)
    if system.get("deployment", "ferryman-operator") is None:
        subprocess.run([str(ROOT / "hack/cluster/install")], check=True)
    System(system).restore()  # a scene that was interrupted may have left something at zero
    return system


@pytest.fixture(scope="session")
def api(installed: Kubectl) -> Iterator[Api]:
    """The HTTP API, with its token."""
    token = installed.run("get", "secret", "ferryman-api-token", "-o", "go-template={{.data.token | base64decode}}")
    api = Api(Forward(installed, "service/ferryman-api", 80), token)
    yield api
    api.close()


@pytest.fixture
def operator_metrics(installed: Kubectl) -> Iterator[OperatorMetrics]:
    """What the operator exports."""
    metrics = OperatorMetrics(Forward(installed, "deployment/ferryman-operator", 8080))
    yield metrics
    metrics.close()


@pytest.fixture(scope="session")
def node(installed: Kubectl) -> Iterator[Node]:
    """SIGKILL for processes inside pods."""
    node = Node(installed)
    node.start(image="localhost/ferryman-redis:dev")
    yield node
    node.stop()


@pytest.fixture
def system(installed: Kubectl) -> Iterator[System]:
    """Stops parts of Ferryman; all of them run again after the scene."""
    system = System(installed)
    yield system
    system.restore()


@pytest.fixture
def namespace(request: pytest.FixtureRequest, installed: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a new namespace that enforces `restricted`. It is removed with all that the scene made."""
    name = f"e2e-{slug(request.node.originalname)}-{secrets.token_hex(2)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "ferryman.dev/e2e": "true"}
    installed.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    kubectl = installed.within(name)
    yield kubectl
    report = request.node.stash.get(_REPORT, None)
    if report is None or report.failed:
        sys.stderr.write(diagnostics.collect(kubectl))
    kubectl.run("delete", "taskqueues", "--all", "--timeout=60s")
    until("the scene's objects are gone", lambda: kubectl.list("deployments,cronjobs"), lambda found: not found, 30)
    # Nothing is left to finish: the scene is over.
    kubectl.run("delete", "pods", "--all", "--force", "--grace-period=0")
    kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def queue(namespace: Kubectl, api: Api, request: pytest.FixtureRequest) -> Iterator[SceneQueue]:
    """A TaskQueue that is not made yet; `create` makes it. Its tasks are discarded after the scene."""
    queue = SceneQueue(namespace, api, f"{slug(request.node.originalname)[:24]}-{secrets.token_hex(3)}")
    yield queue
    queue.forget_journal()
    api.reset(queue.name)
