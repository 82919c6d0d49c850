"""The dashboards on a real Prometheus that has 500 queues: they stay readable, and ask for no more than they show.

Nothing here is timed: samples and series are counted by Prometheus and the same on every machine. How long it takes:
`make bench-dashboards`.
"""

from __future__ import annotations

import os
from collections import defaultdict

import pytest
from dashboard_cost.bill import Item
from dashboard_cost.prometheus import NoPrometheus, program
from dashboards_at_500_queues import measure

QUEUES = 500
EVERY_S, STEPS = 30, 10
#: Lines that a person can tell apart in one graph.
LINES = 20
#: Samples that a panel may read for each point of its graph: 120 for each queue. A rate reads five of a series.
SAMPLES_A_POINT = 120 * QUEUES


@pytest.fixture(scope="module")
def items() -> list[Item]:
    """All queries over some minutes. Without Prometheus: skip here, fail in CI."""
    try:
        program()
    except NoPrometheus as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    return measure(QUEUES, window_s=(STEPS - 1) * EVERY_S, every_s=EVERY_S, patience_s=240)


def test_every_query_has_data(items: list[Item]) -> None:
    assert len(items) > 50
    assert [_name(item) for item in items if not item.answer.series] == []


def test_no_panel_but_a_table_or_a_heatmap_has_more_lines_than_a_person_can_read(items: list[Item]) -> None:
    lines: dict[str, int] = defaultdict(int)
    for item in items:
        if item.kind not in ("table", "heatmap", "variable"):
            lines[_panel(item)] += item.answer.series
    assert {panel: number for panel, number in lines.items() if number > LINES} == {}


def test_a_table_has_at_most_one_row_a_queue(items: list[Item]) -> None:
    assert [_name(item) for item in items if item.kind == "table" and item.answer.series > QUEUES] == []


def test_no_panel_reads_more_than_a_few_samples_of_each_series_that_it_shows(items: list[Item]) -> None:
    read: dict[str, float] = defaultdict(float)
    for item in items:
        read[_panel(item)] += item.answer.samples / item.points
    assert {panel: number for panel, number in read.items() if number > SAMPLES_A_POINT} == {}


def _panel(item: Item) -> str:
    return f"{item.query.dashboard} / {item.query.panel}"


def _name(item: Item) -> str:
    return f"{_panel(item)} {item.query.ref}: {item.query.expr}"
