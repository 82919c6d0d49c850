"""What a worker tells Prometheus: its own counts, its beat child's, and what its processes use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ferryman_worker import usage
from ferryman_worker.board import Board
from ferryman_worker.counters import Counters
from ferryman_worker.figures import Figures
from ferryman_worker.ledger import Ledger
from ferryman_worker.metrics import Exposition
from ferryman_worker.usage import Processes, usage_of
from prometheus_client.parser import text_string_to_metric_families

from ferryman.cause import Cause
from ferryman.protocol import Delivery, Fetched

NOBODY = 2**22 + 1  # above any pid


class Worker:
    """Figures, and the scrapes of them."""

    def __init__(self, pool: int | None = None) -> None:
        self.figures = Figures(Counters("q"), Board(), Ledger(), Processes(beat=NOBODY, pool=pool))
        self.figures.counters.know("send")
        self._exposition = Exposition(self.figures)

    def scrape(self) -> dict[str, float]:
        """Every sample, as `name/value/value` with the values of its labels but the queue's."""
        return {
            "/".join((sample.name, *(value for name, value in sample.labels.items() if name != "queue"))): sample.value
            for family in text_string_to_metric_families(self._exposition.render(in_progress=0).decode())
            for sample in family.samples
        }


def recovered(scraped: dict[str, float]) -> dict[str, float]:
    name = "ferryman_recovered_total/"
    return {key.removeprefix(name): value for key, value in scraped.items() if key.startswith(name)}


def test_nothing_is_exported_twice_as_created() -> None:
    assert not [name for name in Worker().scrape() if "_created" in name]


def test_what_was_taken_over_before_the_first_scrape_shows_as_an_increase() -> None:
    """Prometheus sees no increase in a series that begins above 0."""
    worker = Worker()
    worker.figures.ledger.count(Cause.OOM_KILLED, 3, 1)
    begins = {"restarted/waiting": 0, "restarted/dead": 0, "lost_fetch/waiting": 0}
    assert recovered(worker.scrape()) == {**begins, "oom_killed/waiting": 0, "oom_killed/dead": 0}
    assert recovered(worker.scrape()) == {**begins, "oom_killed/waiting": 3, "oom_killed/dead": 1}


def test_what_the_beat_child_and_what_the_worker_recovered_are_added_up() -> None:
    worker = Worker()
    worker.scrape()
    worker.figures.ledger.count(Cause.RESTARTED, 3, 1)
    worker.figures.counters.recovered.count(Cause.RESTARTED, 10, 0)
    worker.figures.counters.recovered.count(Cause.LOST_FETCH, 5, 0)
    assert recovered(worker.scrape()) == {"restarted/waiting": 13, "restarted/dead": 1, "lost_fetch/waiting": 5}


def test_round_trips_of_the_loop_and_of_the_beats_are_told_apart() -> None:
    worker = Worker()
    worker.figures.counters.trip_seconds.observe(0.02)
    for seconds in (0.00005, 0.0002, 30.0):
        worker.figures.ledger.count_trip(seconds)
    scraped, name = worker.scrape(), "ferryman_redis_round_trip_seconds"
    assert scraped[f"{name}_count/worker"] == 1
    assert scraped[f"{name}_sum/worker"] == 0.02
    assert scraped[f"{name}_bucket/beat/0.0001"] == 1
    assert scraped[f"{name}_bucket/beat/0.00025"] == 2
    assert scraped[f"{name}_bucket/beat/10.0"] == 2
    assert scraped[f"{name}_bucket/beat/+Inf"] == scraped[f"{name}_count/beat"] == 3
    assert scraped[f"{name}_sum/beat"] == pytest.approx(30.00025)


def test_what_the_child_counts_is_read_by_the_worker() -> None:
    ledger = Ledger()
    child = os.fork()
    if not child:
        ledger.count_trip(0.5)
        ledger.count(Cause.RESTARTED, 2, 1)
        os._exit(0)
    os.waitpid(child, 0)
    assert (sum(ledger.trip_seconds().counts), ledger.trip_seconds().total) == (1, 0.5)
    assert ledger.recovered().to_waiting[Cause.RESTARTED] == 2
    assert ledger.recovered().to_dead[Cause.RESTARTED] == 1


# What the processes use.

BUSY = """
import os, sys, time
block = bytearray(64_000_000)
if not os.fork():
    while time.process_time() < 0.3: pass
    os._exit(0)
os.wait()
sys.stdout.write("x"); sys.stdout.flush(); sys.stdin.read()
"""


def test_the_pool_is_its_parent_and_all_children_also_those_that_have_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(1)
        scraped = Worker(pool=process.pid).scrape()
        process.communicate(b"")
    assert scraped["ferryman_worker_cpu_seconds_total/pool"] >= 0.3
    assert scraped["ferryman_worker_resident_memory_bytes/pool"] > 64_000_000
    assert scraped["ferryman_worker_resident_memory_bytes/main"] > 1_000_000
    assert "ferryman_worker_resident_memory_bytes/beat" not in scraped, "a process that is gone has no figures"


PARENT = """
import os, sys
if not os.fork():
    block = bytearray(64_000_000)
    sys.stdout.write("x"); sys.stdout.flush(); sys.stdin.read()
    os._exit(0)
os.wait()
"""


def test_children_that_live_are_counted() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        parent.stdout.read(1)
        alone, together = usage_of(parent.pid), usage_of(parent.pid, with_children=True)
        parent.communicate(b"")
    assert alone
    assert together
    assert together.resident_bytes > alone.resident_bytes + 64_000_000


def test_processor_time_never_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fall looks like a restart to Prometheus, and everything would be counted once more."""
    monkeypatch.setattr(usage, "_PROC", tmp_path)
    processes = Processes(beat=1, pool=None)

    def stat(ticks: int) -> None:
        folder = tmp_path / str(os.getpid())
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_text(f"7 (odd) name) {' '.join(['0'] * 11)} {ticks} 0 0 0 0 0 0 0 0 0 3 0\n")

    stat(500)
    before = processes.usage()["main"]
    stat(300)
    assert processes.usage()["main"] == before
    assert before.cpu_s == 500 / os.sysconf("SC_CLK_TCK")
    assert before.resident_bytes == 3 * os.sysconf("SC_PAGE_SIZE")


# What is counted in one go.


def delivery(waiting_since_ms: int) -> Delivery:
    return Delivery("t", "send", b"{}", b"", 1, 1, 0, waiting_since_ms, False, 0, 0)


def test_a_fetch_counts_how_long_each_of_its_tasks_has_waited() -> None:
    worker = Worker()
    waits_ms = (0, 1, 2, 5_000, 600_000, 600_001, -50)  # the last: Redis' clock has jumped
    worker.figures.counters.fetched(Fetched("ok", 1_000_000, 0, [delivery(1_000_000 - wait) for wait in waits_ms]))
    scraped, name = worker.scrape(), "ferryman_task_wait_seconds"
    below = {bound: scraped[f"{name}_bucket/{bound}"] for bound in ("0.001", "0.005", "2.5", "5.0", "600.0", "+Inf")}
    assert below == {"0.001": 3, "0.005": 4, "2.5": 4, "5.0": 5, "600.0": 6, "+Inf": 7}
    assert scraped[f"{name}_sum"] == pytest.approx(1_205.004)
    assert scraped["ferryman_fetch_batch_tasks_bucket/5.0"] == 0
    assert scraped["ferryman_fetch_batch_tasks_bucket/10.0"] == scraped["ferryman_fetch_batch_tasks_count"] == 1


def test_a_good_run_counts_as_completed_and_in_its_bucket() -> None:
    worker = Worker()
    for run_s in (0.001, 0.0011, 700.0):
        worker.figures.counters.of("send").ran_well(run_s)
    scraped, name = worker.scrape(), "ferryman_task_run_seconds"
    assert scraped["ferryman_tasks_total/completed/send"] == 3
    assert [scraped[f"{name}_bucket/{bound}/send"] for bound in ("0.001", "0.005", "600.0", "+Inf")] == [1, 2, 2, 3]
    assert scraped[f"{name}_sum/send"] == pytest.approx(700.0021)
