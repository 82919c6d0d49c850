"""What the programs export: named and labelled by the rules, bounded, and described in docs/metrics.md."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ferryman_dashboards.linter import selectors
from ferryman_metrics import LABELS, Exported, exported, render
from ferryman_metrics.exported import read
from ferryman_metrics.labels import label
from ferryman_scheduler.metrics import Metrics as SchedulerMetrics
from ferryman_worker.board import Board
from ferryman_worker.counters import NAMES_AT_MOST, OTHER, UNKNOWN, Counters
from ferryman_worker.figures import Figures
from ferryman_worker.ledger import Ledger
from ferryman_worker.metrics import Exposition
from ferryman_worker.usage import Processes
from prometheus_client.parser import text_string_to_metric_families

from ferryman.api.metrics import ApiMetrics
from ferryman.cause import Cause
from ferryman.metrics import QUEUES_AT_MOST

ROOT = Path(__file__).parents[2]
METRICS = exported()
FORBIDDEN = {"id", "task_id", "pod", "worker", "node", "container", "hostname", "error", "message", "exception", "url"}
each_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: str(metric.name))


def test_the_page_is_what_the_code_exports() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == render(), "run: make docs"


@each_metric
def test_total_stands_on_counters_and_on_nothing_else(metric: Exported) -> None:
    assert metric.name.endswith("_total") == (metric.type == "counter")


@each_metric
def test_times_are_in_seconds_and_sizes_in_bytes(metric: Exported) -> None:
    words = metric.name.removesuffix("_total").split("_")
    assert not {"ms", "milliseconds", "us", "minutes", "hours", "days", "kb", "mb", "percent", "created"} & set(words)
    assert not {"seconds", "bytes"} & set(words[:-1]), "a unit stands at the end"
    of_time = {"latency", "lag", "age", "duration", "wait", "oldest", "time", "timestamp"} & set(words)
    assert not of_time or words[-1] == "seconds"
    assert "memory" not in words or words[-1] == "bytes"


@each_metric
def test_no_label_holds_an_id_a_pod_or_a_text(metric: Exported) -> None:
    assert not FORBIDDEN & metric.labels.keys()


@each_metric
def test_no_label_is_one_that_prometheus_adds(metric: Exported) -> None:
    """It would become `exported_…`, or need honorLabels."""
    assert not {"namespace", "pod", "container", "endpoint", "job", "instance", "service"} & metric.labels.keys()


@each_metric
def test_every_label_is_explained_and_bounded(metric: Exported) -> None:
    for name in metric.labels:
        known = label(metric.name, name)
        values = {value for one in METRICS if one.name == metric.name for value in one.labels.get(name, ())}
        assert known.meaning.endswith(".")
        assert known.bound or 1 < len(values) <= 20
        assert not known.values or known.values.keys() == values


@each_metric
def test_a_metric_of_several_programs_is_the_same_in_all(metric: Exported) -> None:
    same = [one for one in METRICS if one.name == metric.name]
    assert len({(one.type, one.help, one.buckets) for one in same}) == 1


def test_no_explanation_is_left_over() -> None:
    in_use = {key for metric in METRICS for name in metric.labels for key in (name, f"{metric.name}/{name}")}
    assert LABELS.keys() <= in_use


@each_metric
def test_help_is_a_sentence(metric: Exported) -> None:
    assert re.fullmatch(r"[A-Z0-9].*\.", metric.help)


def test_buckets_of_tasks_reach_from_a_millisecond_to_ten_minutes() -> None:
    for name in ("ferryman_task_wait_seconds", "ferryman_task_run_seconds"):
        (buckets,) = [metric.buckets for metric in METRICS if metric.name == name]
        assert (buckets[0], buckets[-1]) == (0.001, 600)


def test_a_metric_without_a_sample_is_an_error() -> None:
    with pytest.raises(ValueError, match="no sample of ferryman_new"):
        list(read("worker", "# HELP ferryman_new_total New.\n# TYPE ferryman_new_total counter\n"))


# Names that explode


def figures(counters: Counters) -> Figures:
    return Figures(counters, Board(), Ledger(), Processes(beat=os.getpid(), pool=None))


def labels_of(counters: Counters) -> frozenset[str]:
    text = Exposition(figures(counters)).render(in_progress=0).decode()
    (tasks,) = [metric for metric in read("worker", text) if metric.name == "ferryman_tasks_total"]
    return tasks.labels["task"]


def test_names_that_producers_invent_share_one_label() -> None:
    counters = Counters("q")
    counters.know("send")
    for n in range(1_000):
        counters.of(f"typo-{n}").parked += 1
    assert labels_of(counters) == {"send", UNKNOWN}
    assert counters.tasks[UNKNOWN].parked == 1_000


def test_handlers_beyond_the_limit_share_one_label_and_nothing_is_lost() -> None:
    counters = Counters("q")
    names = [f"handler-{n:04}" for n in range(1_000)]
    counters.know(*names)
    for name in names:
        counters.of(name).completed += 1
    assert len(labels_of(counters)) == NAMES_AT_MOST + 2
    assert counters.tasks[OTHER].completed == 1_000 - NAMES_AT_MOST
    assert sum(one.completed for one in counters.tasks.values()) == 1_000
    assert counters.tasks[UNKNOWN].completed == 0


def test_the_first_handlers_keep_their_names_in_every_worker() -> None:
    forwards, backwards = Counters("q"), Counters("q")
    names = [f"handler-{n:04}" for n in range(300)]
    forwards.know(*names)
    backwards.know(*reversed(names))
    assert labels_of(forwards) == labels_of(backwards)


def test_queues_that_clients_invent_share_one_label() -> None:
    api, scheduler = ApiMetrics(), SchedulerMetrics()
    for n in range(3 * QUEUES_AT_MOST):
        api.enqueued(f"q{n}", 1)
        scheduler.promoted(f"q{n}", 1, 0)
        scheduler.recovered(f"q{n}", 1, 0, Cause.DEADLINE)
    for text, name in ((api.render()[0], "ferryman_enqueued"), (scheduler.text(), "ferryman_recovered")):
        (family,) = [one for one in text_string_to_metric_families(text.decode()) if one.name == name]
        assert len({sample.labels["queue"] for sample in family.samples}) == QUEUES_AT_MOST + 1
        assert sum(sample.value for sample in family.samples) == 3 * QUEUES_AT_MOST
        assert sum(one.value for one in family.samples if one.labels["queue"] == OTHER) == 2 * QUEUES_AT_MOST


# Alerts


def expressions() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "charts" / "ferryman" / "alerts").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                yield rule.get("alert") or rule["record"], rule["expr"]


@pytest.mark.parametrize(("rule", "expr"), list(expressions()))
def test_an_alert_asks_only_for_what_is_exported(rule: str, expr: str) -> None:
    known = {metric.name: metric for metric in METRICS}
    recorded = {name for name, _ in expressions() if ":" in name}
    found = [selector for selector in selectors(expr) if selector.name not in recorded]
    for selector in found:
        metric = known[str(selector.name)]
        for matcher in selector.matchers.matchers:
            assert matcher.value in metric.labels[matcher.name], f"{metric.name} has no {matcher.name}={matcher.value}"
    assert found or any(name in expr for name in recorded)
