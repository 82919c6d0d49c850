"""/livez, /readyz, /metrics: what they say, and that they say it from the child's thread over the child's line."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from ferryman_worker.board import Board
from ferryman_worker.counters import UNKNOWN, Counters
from ferryman_worker.figures import Figures
from ferryman_worker.health import MetricsLine, answer, serve
from ferryman_worker.ledger import Ledger
from ferryman_worker.scrape import ScrapeLine
from ferryman_worker.usage import Processes
from prometheus_client.parser import text_string_to_metric_families


def figures_of(counters: Counters) -> Figures:
    return Figures(counters, Board(), Ledger(), Processes(beat=os.getpid(), pool=None))


def no_metrics() -> bytes | None:
    return None


def test_livez_fails_only_when_the_loop_has_stood_still_for_the_hang_timeout() -> None:
    board = Board()
    assert answer("/livez", board, 60_000, no_metrics)[0] == 200
    assert answer("/livez", board, 0, no_metrics)[0] == 503


def test_readyz_says_whether_the_worker_takes_tasks() -> None:
    board = Board()
    assert answer("/readyz", board, 60_000, no_metrics)[0] == 503
    board.set_ready(True)
    assert answer("/readyz", board, 60_000, no_metrics)[0] == 200


def test_metrics_of_a_busy_loop_are_unavailable_and_unknown_paths_not_found() -> None:
    assert answer("/metrics", Board(), 60_000, no_metrics)[0] == 503
    assert answer("/metrics", Board(), 60_000, lambda: b"m 1\n") == (
        *(200, "text/plain; version=1.0.0; charset=utf-8", b"m 1\n"),
    )
    assert answer("/", Board(), 60_000, no_metrics)[0] == 404


@pytest.fixture
def child_port() -> Iterator[tuple[int, socket.socket, Board]]:
    """(port, the worker's end of the line, board) of a health server as the child runs it."""
    ours, theirs = socket.socketpair()
    board = Board()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener, board, 60_000, MetricsLine(theirs)), daemon=True).start()
    yield listener.getsockname()[1], ours, board
    ours.close()
    theirs.close()


def get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def test_the_server_answers_while_another_client_says_nothing(child_port: tuple[int, socket.socket, Board]) -> None:
    port, _, _ = child_port
    with socket.create_connection(("127.0.0.1", port)):
        assert get(port, "/livez") == (200, b"ok\n")
    assert get(port, "/livez", "HEAD") == (200, b"")
    assert get(port, "/livez", "POST")[0] == 405


async def test_a_scrape_goes_through_the_child_to_the_worker(child_port: tuple[int, socket.socket, Board]) -> None:
    port, line, _ = child_port
    counters = Counters("emails")
    counters.know("send")
    counters.of("send").completed += 3
    counters.of("send").run_seconds.observe(0.2)
    counters.of("never heard of").parked += 1
    counters.stale_outcomes = 2
    counters.broker_errors = 1
    died: list[bool] = []
    figures = figures_of(counters)
    for _ in range(5):
        figures.board.count_error()
    scrapes = ScrapeLine(line, figures, in_progress=lambda: 4, child_died=lambda: died.append(True))
    scrapes.open(asyncio.get_running_loop())
    status, body = await asyncio.to_thread(get, port, "/metrics")
    scrapes.close(asyncio.get_running_loop())

    assert status == 200
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    queue = ("queue", "emails")
    assert samples["ferryman_tasks_total", (("outcome", "completed"), queue, ("task", "send"))] == 3
    assert samples["ferryman_tasks_total", (("outcome", "parked"), queue, ("task", UNKNOWN))] == 1
    assert samples["ferryman_task_run_seconds_count", (queue, ("task", "send"))] == 1
    assert samples["ferryman_task_run_seconds_bucket", (("le", "0.1"), queue, ("task", "send"))] == 0
    assert samples["ferryman_task_run_seconds_bucket", (("le", "0.25"), queue, ("task", "send"))] == 1
    assert samples["ferryman_tasks_in_progress", (queue,)] == 4
    assert samples["ferryman_stale_outcomes_total", (queue,)] == 2
    assert samples["ferryman_broker_errors_total", (queue,)] == 6
    assert not died


async def test_the_worker_notices_the_child_s_death(child_port: tuple[int, socket.socket, Board]) -> None:
    ours, theirs = socket.socketpair()
    died = asyncio.Event()
    scrapes = ScrapeLine(ours, figures_of(Counters("q")), in_progress=int, child_died=died.set)
    scrapes.open(asyncio.get_running_loop())
    theirs.close()
    await asyncio.wait_for(died.wait(), 10)
    ours.close()
