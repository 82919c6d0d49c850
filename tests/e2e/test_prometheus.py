"""A real Prometheus scrapes the cluster during a scripted day, and every query of every panel has something to show.

The scene prints what happened when, and then a line for each query: how many series, the highest and the latest
value; the same lies in .cluster/panels.json. A query without data fails the test, and the figures of the evening are
those of `ferryman stats` and of the API, one by one. Prometheus keeps the day: the dashboards' preview draws it.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ferryman_e2e import panel_table
from ferryman_e2e.day import WORKERS_AT_NIGHT, Day
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.prometheus import SCRAPE_S, Prometheus
from ferryman_e2e.scene_queue import SceneQueue
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(600)]  # its day has a timetable

_SAVED = Path(__file__).resolve().parents[2] / ".cluster/panels.json"

#: Where the operator exports each figure of `ferryman stats`; {} takes the queue's labels.
_FIGURES = {
    "waiting": 'ferryman_queue_tasks{{{},state="waiting"}}',
    "active": 'ferryman_queue_tasks{{{},state="active"}}',
    "delayed": 'ferryman_queue_tasks{{{},state="delayed"}}',
    "dead": 'ferryman_queue_tasks{{{},state="dead"}}',
    "parked": 'ferryman_queue_tasks{{{},state="parked"}}',
    "enqueued": 'ferryman_queue_events_total{{{},event="enqueued"}}',
    "completed": 'ferryman_queue_events_total{{{},event="completed"}}',
    "failed": 'ferryman_queue_events_total{{{},event="failed"}}',
    "retried": 'ferryman_queue_events_total{{{},event="retried"}}',
    "recovered": 'ferryman_queue_events_total{{{},event="recovered"}}',
    "discarded": 'ferryman_queue_events_total{{{},event="discarded"}}',
    "unaccounted": "ferryman_queue_unaccounted{{{}}}",
    "workers": "ferryman_queue_workers{{{}}}",
}

#: The queue's page, on top: panels that show a figure of `ferryman stats` as it is.
_PANELS = {
    "Waiting": "waiting",
    "Active": "active",
    "Scheduled": "delayed",
    "Workers": "workers",
    "Dead": "dead",
    "Unaccounted": "unaccounted",
}


@pytest.fixture
def prometheus(installed: Kubectl) -> Iterator[Prometheus]:
    """It scrapes since before the scene."""
    prometheus = Prometheus(installed)
    prometheus.start()
    yield prometheus
    prometheus.close()


def test_a_scripted_day_shows_in_every_panel_and_its_figures_are_those_of_ferryman_stats(
    prometheus: Prometheus, queue: SceneQueue, installed: Kubectl
) -> None:
    day = Day(queue, prometheus)
    seen = day.live()
    _all_components_are_scraped(prometheus, queue)

    _figures_agree(prometheus, queue, installed)
    figures = queue.figures()
    assert (figures["waiting"], figures["active"], figures["delayed"], figures["dead"]) == (0, 0, 2, 4), figures
    assert (figures["retried"], figures["failed"], figures["unaccounted"]) == (3, 6, 0), figures
    assert figures["recovered"] == seen["recovered"] > 10, "both accidents took a worker with its hands full"
    assert figures["workers"] == WORKERS_AT_NIGHT

    rows = panel_table.rows(prometheus, queue.kubectl.namespace, queue.name, day.began_s, time.time())
    print(panel_table.text(rows))
    panel_table.save(rows, _SAVED)
    empty = [f"{row.dashboard} / {row.panel} {row.ref}: {row.expr}" for row in rows if not row.with_values]
    print(f"\n{len(rows)} queries, {len(empty)} without data; all of it in {_SAVED}")
    assert len(rows) > 100
    assert not empty, "panels without data:\n" + "\n".join(empty)
    shown = {row.panel: [*row.latest.values()] for row in rows if row.dashboard == "Ferryman queue"}
    assert {panel: shown[panel] for panel in _PANELS} == {panel: [figures[name]] for panel, name in _PANELS.items()}


def _all_components_are_scraped(prometheus: Prometheus, queue: SceneQueue) -> None:
    components = ("ferryman-operator", "ferryman-api", "ferryman-scheduler", queue.name)

    def scraped() -> set[str]:
        return {target["labels"]["pod"] for target in prometheus.targets() if target["health"] == "up"}

    until(
        "all components are scraped",
        scraped,
        lambda pods: all(any(pod.startswith(component) for pod in pods) for component in components),
        timeout_s=30,
    )


def _figures_agree(prometheus: Prometheus, queue: SceneQueue, installed: Kubectl) -> None:
    """Nothing moves any more: what was scraped last is what `ferryman stats` and the API say, exactly."""
    where = f'queue_namespace="{queue.kubectl.namespace}",queue="{queue.name}"'
    said = installed.run("exec", "deployment/ferryman-api", "--", "ferryman", "stats", queue.name, "--json")
    stats: dict[str, Any] = json.loads(said)
    stated = {name: float(stats[name]) for name in _FIGURES}
    shown = {name: float(queue.figures()[name]) for name in _FIGURES}
    assert shown == stated, "the API and `ferryman stats`"
    until(
        f"Prometheus shows {stated}",
        lambda: {name: prometheus.value(expr.format(where)) for name, expr in _FIGURES.items()},
        lambda scraped: scraped == stated,
        timeout_s=10 * SCRAPE_S,
    )
