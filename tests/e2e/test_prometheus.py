"""A real Prometheus scrapes the cluster, and every query of every dashboard panel returns data.

The scene lets everything happen once that a panel shows: tasks that complete, fail, die, are delayed, crash their
worker, have a name that nobody knows, and are trimmed. A panel without data fails the test.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.prometheus import SCRAPE_S, Prometheus
from ferryman_e2e.scene_queue import SceneQueue
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def prometheus(installed: Kubectl) -> Iterator[Prometheus]:
    """It scrapes from before the scene until after it."""
    prometheus = Prometheus(installed)
    prometheus.start()
    yield prometheus
    prometheus.stop()


def test_every_panel_of_every_dashboard_has_data(prometheus: Prometheus, queue: SceneQueue) -> None:
    since = time.monotonic()
    _let_everything_happen_once(queue, prometheus)

    def scraped() -> set[str]:
        return {target["labels"]["pod"] for target in prometheus.targets() if target["health"] == "up"}

    components = ("ferryman-operator", "ferryman-api", "ferryman-scheduler", queue.name)
    until(
        "all components are scraped",
        scraped,
        lambda pods: all(any(pod.startswith(component) for pod in pods) for component in components),
        timeout_s=30,
    )
    seen = time.monotonic()
    until("three scrapes more", lambda: time.monotonic() - seen, lambda s: s > 3 * SCRAPE_S, timeout_s=60)

    queries = _queries(queue)
    assert len(queries) > 30
    for_s = time.monotonic() - since
    empty = [
        f"{query['dashboard']} / {query['panel']} {query['ref']}: {query['expr']}"
        for query in queries
        if not prometheus.query_range(query["expr"], for_s)
    ]
    print(f"{len(queries)} queries, {len(empty)} without data")
    assert not empty, "panels without data:\n" + "\n".join(empty)

    # The figures are the queue's own, from one place only.
    figures = queue.figures()
    here = f'queue_namespace="{queue.kubectl.namespace}",queue="{queue.name}"'
    for state in ("waiting", "active", "delayed", "dead"):
        [series] = prometheus.query(f'ferryman_queue_tasks{{{here},state="{state}"}}')
        assert int(series["value"][1]) == figures[state], state
    [completed] = prometheus.query(f'ferryman_queue_events_total{{{here},event="completed"}}')
    assert int(completed["value"][1]) == figures["completed"]
    [unaccounted] = prometheus.query(f"ferryman_queue_unaccounted{{{here}}}")
    assert unaccounted["value"][1] == "0"


def _let_everything_happen_once(queue: SceneQueue, prometheus: Prometheus) -> None:
    policy: dict[str, Any] = {
        "crashes": {"workerTimeout": "5s", "max": 1},
        "retries": {"backoff": {"initial": "1s", "max": "1s"}},
        "retention": {"completedMax": 5},
    }
    queue.create(scaling={"minReplicas": 2, "maxReplicas": 2}, **policy)
    # Before the workers are known any name is accepted: this one is parked.
    queue.post("nobody_knows_this", {})
    queue.wait_workers(2, timeout_s=90)
    # What happens before the first scrape of a queue is a count, but no event that a graph could mark.
    recovered = f'ferryman_queue_events_total{{queue="{queue.name}",event="recovered"}}'
    until("the queue is scraped", lambda: prometheus.query(recovered), bool, timeout_s=30)
    queue.post("crash")
    queue.post("fail", {"message": "on purpose"}, count=3)
    queue.post("work", {"seconds": 0.2}, count=60)
    queue.post("work", {"seconds": 0.1}, delay="2s", count=3)
    queue.post("work", {"seconds": 0.1}, delay="1h")
    queue.wait_completed(63, timeout_s=90)
    queue.wait_figures("the crash and the failures are dead", lambda f: f["dead"] == 4, timeout_s=90)
    queue.wait_workers(2, timeout_s=90)
    # The restarted worker counts from zero: something must happen in both again.
    queue.post("work", {"seconds": 0.2}, count=60)
    queue.wait_completed(123, timeout_s=60)
    queue.create(scaling={"minReplicas": 3, "maxReplicas": 3}, **policy)
    queue.wait_workers(3, timeout_s=60)


def _queries(queue: SceneQueue) -> list[dict[str, str]]:
    """What the dashboards ask about this queue, from the command that lists it."""
    command = [sys.executable, "-m", "ferryman_dashboards", "queries", "--namespace", queue.kubectl.namespace]
    command += ["--queue", queue.name, "--rate-interval", f"{5 * SCRAPE_S}s"]
    source = {"PYTHONPATH": str(_ROOT / "dashboards/src")}
    done = subprocess.run(command, env=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    queries: list[dict[str, str]] = json.loads(done.stdout)
    return queries
