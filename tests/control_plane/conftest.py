"""Fixtures: one control plane for all tests, a namespace for each, and operators that end with their test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ferryman_control_plane.binaries import NotBuilt
from ferryman_control_plane.install import grant, install, operator_rules
from ferryman_control_plane.namespace import Namespace
from ferryman_control_plane.operator_process import OperatorProcess, StartOperator
from ferryman_control_plane.plane import ControlPlane

HERE = Path(__file__).parent

#: Users whose rights a test may change; `ferryman-operator` has those of manifests/install.
USERS = ("ferryman-operator", "second-operator", "restricted")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("control_plane")


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd and the API server, with the CRD. Not built: skip here, fail in CI."""
    made = ControlPlane(tmp_path_factory.mktemp("plane"), USERS)
    try:
        made.start()
        with made.client() as api:
            install(api)
            grant(api, "second-operator", operator_rules())
    except NotBuilt as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture
def api(plane: ControlPlane) -> Iterator[httpx.Client]:
    """The API server as an administrator."""
    with plane.client() as client:
        yield client


@pytest.fixture
def namespace(api: httpx.Client) -> Namespace:
    """An empty namespace."""
    return Namespace.create(api, f"team-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def start_operator(plane: ControlPlane, namespace: Namespace, tmp_path: Path) -> Iterator[StartOperator]:
    """Starts operators of the test's namespace; those that still run at its end are killed."""
    operators: list[OperatorProcess] = []

    def start(name: str = "operator", **options: Any) -> OperatorProcess:
        options = {"FERRYMAN_WATCH_NAMESPACES": namespace.name, **options}
        operators.append(OperatorProcess(plane, f"{namespace.name}-{name}", **options))
        return operators[-1]

    yield start
    for operator in operators:
        operator.close()
