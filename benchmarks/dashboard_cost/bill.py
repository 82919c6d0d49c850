"""The bill: every query of every dashboard, asked as Grafana asks it, with what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ferryman_dashboards import build_all, list_queries
from ferryman_dashboards.queries import Query

from dashboard_cost.history import History
from dashboard_cost.prometheus import Answer, Prometheus
from dashboard_cost.town import Town

#: Grafana makes $__rate_interval so many scrapes long.
_SCRAPES: Final = 4


@dataclass(frozen=True, slots=True)
class Item:
    """One query, asked for so many `points` in time. `kind` is the panel's type, or `variable` or `event`."""

    query: Query
    kind: str
    points: int
    answer: Answer


def bill(prometheus: Prometheus, town: Town, history: History) -> Iterator[Item]:
    """All queries over the whole history: the overview of all queues, and the page of the busiest one."""
    place = town.busiest
    window_s = history.end_s - history.start_s
    variables = {
        "queue": place.queue,
        "__rate_interval": f"{_SCRAPES * history.every_s}s",
        "__range": f"{window_s:.0f}s",
    }
    for name, board in build_all().items():
        # Without a queue to choose, a page is about all of them.
        is_of_one = any(one["name"] == "queue" for one in board["templating"]["list"])
        here = variables | {"namespace": place.namespace if is_of_one else ".+"}
        kinds = {(panel["title"], target["refId"]): (panel["type"], target) for panel, target in _targets(board)}
        for query in list_queries({name: board}, here):
            if query.panel.startswith("$"):
                answer = prometheus.ask_values(query.expr, query.legend, history.start_s, history.end_s)
                yield Item(query, "variable", 1, answer)
                continue
            kind, target = kinds.get((query.panel, query.ref), ("event", {}))
            if target.get("instant") and not target.get("range"):
                yield Item(query, kind, 1, prometheus.ask_now(query.expr, history.end_s))
            else:
                # From where on a rate has all its samples.
                start_s = history.start_s + _SCRAPES * history.every_s
                answer = prometheus.ask_range(query.expr, start_s, history.end_s, history.every_s)
                yield Item(query, kind, history.steps - _SCRAPES, answer)


def _targets(board: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for panel in board["panels"]:
        for inner in (panel, *panel.get("panels", ())):
            for target in inner.get("targets", ()):
                yield inner, target
