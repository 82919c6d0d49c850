"""All dashboards, and their JSON as it lies in the chart."""

import json
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from ferryman_dashboards import operator_dashboard, overview_dashboard, queue_dashboard

_BUILDERS = {
    "ferryman-overview.json": overview_dashboard.build,
    "ferryman-queue.json": queue_dashboard.build,
    "ferryman-operator.json": operator_dashboard.build,
}


def build_all() -> dict[str, dict[str, Any]]:
    """Every dashboard by its file's name, as plain JSON values, with its panels numbered from 1."""
    boards: dict[str, dict[str, Any]] = {}
    for name, build in _BUILDERS.items():
        board: dict[str, Any] = json.loads(json.dumps(build().build(), cls=JSONEncoder))
        for number, panel in enumerate(board["panels"], start=1):
            panel["id"] = number
        boards[name] = board
    return boards


def render(board: dict[str, Any]) -> str:
    """The text of a dashboard's file: stable, so that a diff shows what changed."""
    return json.dumps(board, indent=2, ensure_ascii=False) + "\n"
