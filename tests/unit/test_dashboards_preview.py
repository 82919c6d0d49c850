"""The pictures of the dashboards: numbers as Grafana writes them, tables as it makes them, every panel drawn."""

import math
import struct
from pathlib import Path
from typing import Any

import pytest
from ferryman_dashboards import build_all
from ferryman_dashboards.preview.command import moment, preview
from ferryman_dashboards.preview.frames import lines_of, table_of
from ferryman_dashboards.preview.page import WIDTH_PX, draw_page
from ferryman_dashboards.preview.source import Series, Window, seconds
from ferryman_dashboards.preview.units import written

BOARDS = build_all()
WINDOW = Window(1_800_000_000, 1_800_003_600, 60)
VARIABLES = {"namespace": "shop", "queue": "emails", "api_url": "http://a", "runbooks": "docs/runbooks"}


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "words"),
    [
        (0, "short", None, "0"),
        (1234, "short", None, "1.23 K"),
        (2_500_000, "short", None, "2.5 Mil"),
        (500, "short", None, "500"),
        (1234, "none", None, "1234"),
        (0, "s", None, "0 s"),
        (0.0005, "s", None, "500 µs"),
        (0.03, "s", None, "30 ms"),
        (1.5, "s", 1, "1.5 s"),
        (90, "s", None, "1.5 mins"),
        (7_200, "s", None, "2 hours"),
        (0.25, "percentunit", None, "25%"),
        (3.14, "percentunit", 0, "314%"),
        (1_048_576, "bytes", None, "1 MiB"),
        (1500, "ops", 1, "1.5K ops/s"),
        (0.5, "reqps", None, "0.5 req/s"),
        (None, "short", None, "-"),
        (math.nan, "s", None, "-"),
        (math.inf, "s", None, "∞"),
    ],
)
def test_numbers_are_written_as_grafana_writes_them(
    value: float | None, unit: str, decimals: int | None, words: str
) -> None:
    assert written(value, unit, decimals) == words


@pytest.mark.parametrize(("text", "at"), [("now", 10_000), ("now-1h", 6_400), ("now-1h30m", 4_600), ("1234.5", 1234.5)])
def test_times_are_those_of_grafanas_address(text: str, at: float) -> None:
    assert moment(text, 10_000) == at


@pytest.mark.parametrize("text", ["yesterday", "now+1h", "now-soon", ""])
def test_another_time_is_an_error_that_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"write (now|90s)"):
        moment(text, 10_000)
    with pytest.raises(ValueError, match="no length of time"):
        seconds("soon")


@pytest.mark.parametrize(("since", "words"), [("sometime", "is no time"), ("now", "is not before")])
def test_a_time_that_cannot_be_is_refused_before_anything_is_asked(since: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        preview("http://127.0.0.1:9", since, "now", {}, tmp_path, BOARDS)


def one(value: float, **labels: str) -> Series:
    return Series(labels, (WINDOW.end_s,), (value,))


def test_a_table_has_a_row_for_each_set_of_labels_whichever_query_knows_it_and_the_highest_on_top() -> None:
    answers = {
        "waiting": [one(1, queue="a", queue_namespace="n"), one(7, queue="b", queue_namespace="n")],
        "active": [one(2, queue="b", queue_namespace="n")],
    }
    rename = {"queue": "Queue", "Value #A": "Waiting", "Value #B": "Active"}
    panel = {
        "targets": [{"refId": "A", "expr": "waiting"}, {"refId": "B", "expr": "active"}],
        "options": {"sortBy": [{"displayName": "Waiting", "desc": True}]},
        "transformations": [
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "indexByName": {"queue": 0, "Value #A": 2, "Value #B": 1},
                    "renameByName": rename,
                },
            },
        ],
    }
    table = table_of(panel, lambda expr, instant: answers[expr] if instant else [])
    assert table.columns == ["Queue", "Active", "Waiting"]
    assert table.rows == [{"Queue": "b", "Active": 2, "Waiting": 7}, {"Queue": "a", "Waiting": 1}]


def test_a_line_has_the_name_of_its_legend_or_of_its_labels() -> None:
    panel = {"targets": [{"expr": "x", "legendFormat": "{{queue}} of {{ns}}"}, {"expr": "x"}]}
    lines = lines_of(panel, lambda expr, instant: [one(1, __name__="x", queue="a", ns="n")])
    assert [line.name for line in lines] == ["a of n", "queue=a, ns=n"]


def busy(expr: str, instant: bool) -> list[Series]:
    """A world in which everything has data: two of each, buckets for heatmaps, what the checks' table asks."""
    times = (WINDOW.end_s,) if instant else tuple(WINDOW.start_s + 60.0 * n for n in range(61))
    labels: list[dict[str, str]] = [{"queue": "a", "queue_namespace": "n"}, {"queue": "b", "queue_namespace": "n"}]
    if "by (le)" in expr and "quantile" not in expr:
        labels = [{"le": le} for le in ("0.1", "1", "+Inf")]
    if '"check"' in expr:
        labels = [{"check": "Redis answers", "runbook": "ferryman-redis-unreachable"}]
    return [
        Series(label, times, tuple(float(n % 7 + k) for n, _ in enumerate(times))) for k, label in enumerate(labels)
    ]


def nothing(expr: str, instant: bool) -> list[Series]:
    return []


def zero(expr: str, instant: bool) -> list[Series]:
    return [Series(s.labels, s.times, tuple(0.0 for _ in s.values)) for s in busy(expr, instant)]


@pytest.mark.parametrize(
    ("name", "world"),
    [*((name, busy) for name in BOARDS), ("ferryman-queue.json", nothing), ("ferryman-queue.json", zero)],
)
def test_every_panel_is_drawn_where_the_grid_puts_it_whatever_the_data(name: str, world: Any, tmp_path: Path) -> None:
    board, path = BOARDS[name], tmp_path / "page.png"
    draw_page(board, world, WINDOW, VARIABLES).save(path)
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:])
    lowest = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    assert (width, height) == (WIDTH_PX, 96 + lowest * 38 + 8)


def test_the_same_data_give_the_same_file(tmp_path: Path) -> None:
    operator = BOARDS["ferryman-operator.json"]
    board = {**operator, "panels": operator["panels"][:8]}
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        draw_page(board, busy, WINDOW, VARIABLES).save(path)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_panel_that_nobody_can_draw_is_an_error() -> None:
    panel = {"type": "piechart", "title": "Cake", "gridPos": {"x": 0, "y": 0, "w": 4, "h": 4}}
    board = {"title": "T", "description": "D", "templating": {"list": []}, "panels": [panel]}
    with pytest.raises(ValueError, match="Cake: no drawing for panels of the type piechart"):
        draw_page(board, nothing, WINDOW, VARIABLES)
