"""The pure parts of `ferryman top`: what fits into how many cells, rates, the order of the list, how often to read."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_bench import Bench
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ferryman.cli.harmless import harmless, harmless_lines
from ferryman.dev.top.cells import amount, fit, sparkline
from ferryman.dev.top.columns import laid_out
from ferryman.dev.top.details import by_name
from ferryman.dev.top.keys_help import foot
from ferryman.dev.top.pace import Freshness, pause_s, says
from ferryman.dev.top.samples import Samples
from ferryman.dev.top.selection import Order, containing, ordered, selected, turn_of
from ferryman.dev.top.tables import QueueRow, dead_columns, held_columns, queue_columns, worker_columns
from ferryman.dev.top.words import worker_name
from ferryman.glance import Glance
from ferryman.inspector import Inspector, QueueStats
from ferryman.overview import severity
from ferryman.workers import WorkerRow


def stats(queue: str = "emails", now_ms: int = 1_000, **figures: Any) -> QueueStats:
    nothing = dict.fromkeys(
        (
            *("waiting", "active", "delayed", "blocked", "dead", "completed", "failed", "retried", "recovered"),
            *(
                "discarded",
                "enqueued",
                "workers",
                "parked",
                "unaccounted",
                "due_soon",
                "run_ms_total",
                "unspent",
                "orphaned",
            ),
        ),
        0,
    )
    fixed = {"oldest_waiting_s": 0.0, "hold": False, "next_due_ms": None, "policy_missing": False, "now_ms": now_ms}
    return QueueStats(**{**nothing, **fixed, "queue": queue, **figures})


def worker(id: str, deadline_ms: int = 5_000, left_ms: int = 1_000, pod: str = "") -> WorkerRow:
    return WorkerRow(id, deadline_ms, 1, pod, 10, False, 0, "app", "1.0", 15_000, left_ms)


@given(st.text(), st.integers(0, 60), st.booleans())
def test_a_text_is_made_to_fit_exactly(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(harmless(text), width, right=right)) == width


@given(st.floats(0, 1e18))
def test_an_amount_never_needs_more_than_six_cells(number: float) -> None:
    assert len(amount(number)) <= 6


def test_amounts_as_people_read_them() -> None:
    assert [amount(n) for n in (0, 999, 12_345, 99_999, 100_000, 1_234_567, 12_000_000_000)] == [
        *("0", "999", "12,345", "99,999", "100k", "1.2M", "12G"),
    ]


def test_a_sparkline_tells_zero_from_little_and_from_unknown() -> None:
    assert sparkline([None, 0, 1, 50, 100]) == " ▁▂▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


@given(st.integers(0, 300), st.integers(1, 63))
def test_every_table_fits_into_every_width(width: int, name: int) -> None:
    row = QueueRow("q" * name, stats(waiting=10**9, dead=10**7, completed=10**12), Samples())
    task = Glance("i" * 128, "n" * 128, 3, 2, 1e7, "an error 漢字 " * 20)
    lines = [
        laid_out(queue_columns(name), width).line(row),
        laid_out(queue_columns(name), width).line(QueueRow("q", None, Samples(), "refused")),
        laid_out(worker_columns(), width).line(worker("w" * 100)),
        laid_out(held_columns(), width).line(task),
        laid_out(dead_columns(), width).line(task),
        laid_out(queue_columns(name), width).heading(),
    ]
    assert all(cell_len(line) <= width for line in lines)
    assert len(foot(width)) <= max(0, width - 2)


def test_at_forty_columns_the_name_and_what_is_wrong_are_there() -> None:
    titles = [column.title for column, _ in laid_out(queue_columns(20), 38).placed]
    assert titles == ["", "QUEUE", "WAITING", "ACTIVE", "DEAD"]


def test_a_rate_is_taken_over_some_seconds_and_never_below_zero() -> None:
    samples = Samples()
    assert samples.done_per_s() is None
    for second, completed in enumerate([100, 110, 110, 130, 150, 150, 210]):
        samples.add(stats(now_ms=1_000 + second * 1_000, completed=completed))
    assert samples.done_per_s() == (210 - 110) / 5
    samples.add(stats(now_ms=60_000, completed=0))  # flushed by hand, and read again much later
    assert samples.done_per_s() == 0


def test_the_last_minute_in_steps() -> None:
    samples = Samples()
    for at_s, waiting in [(0, 9), (70, 1), (100, 5), (101, 7), (120, 2)]:
        samples.add(stats(now_ms=at_s * 1_000, waiting=waiting))
    assert samples.waiting(6) == [9, 1, 1, 5, 7, 2]
    assert Samples().waiting(3) == [None, None, None]


def test_an_old_reading_that_arrives_again_counts_once() -> None:
    samples = Samples()
    for now_ms in (1_000, 2_000, 2_000, 1_500):
        samples.add(stats(now_ms=now_ms, completed=now_ms))
    assert samples.done_per_s() == 1_000


def test_the_most_urgent_come_first_and_equals_by_name() -> None:
    figures = {
        one.queue: one
        for one in (
            stats("a"),
            stats("b", dead=1),
            stats("c", waiting=1),
            stats("d", orphaned=1),
            stats("e", unaccounted=1),
            stats("f", parked=1),
            stats("g", hold=True, waiting=1),
        )
    }
    assert ordered([*figures, "unread"], figures, Order.TROUBLE) == [*"edcfbg", "a", "unread"]
    assert ordered(["b", "a"], figures, Order.DEAD) == ["b", "a"]
    assert ordered(["b", "a"], figures, Order.NAME) == ["a", "b"]
    assert [severity(figures[name]) for name in "abe"] == [0, 1, 5]


def test_names_by_pattern_and_by_part() -> None:
    names = ["emails", "email-archive", "reports"]
    assert selected(names, []) == names
    assert selected(names, ["email?", "rep*"]) == ["emails", "reports"]
    assert selected(names, ["mail"]) == []
    assert containing(names, "MAIL") == ["emails", "email-archive"]


@given(st.integers(1, 80), st.integers(1, 30))
def test_in_turn_every_queue_is_read(count: int, share: int) -> None:
    names = [str(n) for n in range(count)]
    turns = -(-count // share)
    assert {name for turn in range(turns) for name in turn_of(names, turn, share)} == set(names)


def test_a_slow_link_is_read_less_often_and_rests_most_of_the_time() -> None:
    assert pause_s(0.01, 1.0) == pytest.approx(0.99)
    assert pause_s(2.0, 1.0) == 6.0
    assert pause_s(0.01, 1.0, failed=True) == 2.0


@pytest.mark.parametrize(
    ("fresh", "said"),
    [
        (Freshness(1.0, None, 0.01), ""),
        (Freshness(1.0, 0.5, 0.01), ""),
        (Freshness(None, None, 0.0), "Asking Redis…"),
        (Freshness(None, None, 0.0, "No."), "Nothing was read yet; trying again. No."),
        (Freshness(12.0, None, 0.0, "No."), "These figures are 12s old; trying again. No."),
        (Freshness(9.0, 8.0, 0.01), "Redis has not answered for 8.0s. These figures are 9.0s old."),
        (Freshness(2.0, None, 0.5), "Slow link: a refresh takes 0.5s, one every 2s."),
    ],
)
def test_what_is_said_of_the_figures_age(fresh: Freshness, said: str) -> None:
    assert says(fresh, 1.0) == said


def test_text_of_others_cannot_act_on_the_terminal() -> None:
    assert harmless("a\x1b[2Jb\nc\td\x9be\u202ef") == "a�[2Jb c d�e�f"
    assert harmless_lines("a\n\tb\x07\r\nc") == "a\n    b�\nc"


def test_workers_that_are_silent_come_first_and_the_others_stand_still() -> None:
    rows = [worker("c"), worker("b", left_ms=-1), worker("a"), worker("d", deadline_ms=0)]
    assert [row.id for row in by_name(rows)] == ["b", "d", "a", "c"]


def test_a_worker_is_called_by_its_pod() -> None:
    assert worker_name(worker("3f-2a.worker.ab12", pod="emails-x2k8q")) == "emails-x2k8q.worker.ab12"
    assert worker_name(worker("w1", pod="emails-x2k8q")) == "w1"


async def test_a_glance_at_what_is_held_and_at_the_dead(bench: Bench) -> None:
    await bench.bury("old", error="Old: no\nwhere it was")
    await bench.clock.advance(5_000)
    await bench.bury("new", error="é" * 300)
    await bench.hold_active("w", "a", name="first")
    await bench.enqueue("b", "c")
    await bench.fetch("w", 2)
    await bench.clock.advance(2_000)

    dead = await bench.run(bench.inspector.dead())
    assert [(task.id, task.attempt) for task in dead.tasks] == [("new", 1), ("old", 1)]
    assert dead.tasks[1].error == "Old: no\nwhere it was"
    assert len(dead.tasks[0].error.encode()) <= 203
    assert dead.tasks[1].since_s == pytest.approx(7, abs=1)
    page = await bench.run(bench.inspector.dead(limit=1, offset=1))
    assert (page.total, [task.id for task in page.tasks]) == (2, ["old"])

    held = await bench.run(bench.inspector.held("w", limit=2))
    assert (held.total, [(task.id, task.name) for task in held.tasks]) == (3, [("a", "first"), ("b", "echo")])
    assert held.tasks[0].since_s == pytest.approx(2, abs=1)
    assert (await bench.run(Inspector("bench").held("nobody"))).total == 0
