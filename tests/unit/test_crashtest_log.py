"""The execution log: what tasks write, and what is read from it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ferryman.context import context
from ferryman.crashtest.execution_log import Ending, LogFile, PlannedFailure, parse, read


def test_every_way_to_end_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(path, "worker-0.1")
    with log.execution(context(task_id="ok", attempt=2)):
        pass
    with pytest.raises(PlannedFailure), log.execution(context(task_id="fails")):
        raise PlannedFailure
    with pytest.raises(asyncio.CancelledError), log.execution(context(task_id="stopped")):
        raise asyncio.CancelledError
    executions, damaged = read(path)
    assert [(one.id, one.attempt, one.process, one.ending) for one in executions] == [
        ("ok", 2, "worker-0.1", Ending.END),
        ("fails", 1, "worker-0.1", Ending.FAILED),
        ("stopped", 1, "worker-0.1", Ending.STOPPED),
    ]
    assert damaged == 0


def test_a_start_without_an_end_was_cut_off() -> None:
    [execution], damaged = parse(["start t1 r1 1 w0.1 77 1000.5\n"])
    assert (execution.ending, execution.end_ms, execution.pid, damaged) == (Ending.CUT, None, 77, 0)


@pytest.mark.parametrize(
    "line",
    [
        "start t2 r2 1 w0.1 77\n",  # torn
        "start t1 r1 1 w0.1 77 1001\n",  # the same run twice
        "end t9 r9 1 w0.1 77 1001\n",  # never started
        "nonsense t1 r1 1 w0.1 77 1001\n",
        "\n",
    ],
)
def test_lines_without_sense_are_counted_and_not_guessed(line: str) -> None:
    executions, damaged = parse(["start t1 r1 1 w0.1 77 1000\n", line])
    assert (len(executions), damaged) == (1, 1)


def test_nothing_ever_ran(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == ([], 0)


async def test_a_coroutine_says_that_its_last_line_is_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(path, "worker-0.1")

    def run(name: str) -> None:
        with log.execution(context(task_id=name)):
            pass

    run("coroutine")
    await asyncio.to_thread(run, "thread")
    executions, _ = read(path)
    assert [(one.id, one.in_loop) for one in executions] == [("coroutine", True), ("thread", False)]
