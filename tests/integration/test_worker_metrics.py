"""What a real worker answers a scrape: of the right process, with its cause, and no more series than it should."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest
from ferryman_yard.process import WorkerProcess, children, in_pod, parent
from ferryman_yard.yard import Yard
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from ferryman.cause import CONTAINER_RESTARTED

NEW_NAMES = 3_000


async def scrape(worker: WorkerProcess) -> list[Sample]:
    """Every sample, as Prometheus would scrape it now."""
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://127.0.0.1:{worker.port}/metrics")).text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def value(samples: list[Sample], name: str, **labels: str) -> float:
    """Of the one sample with these labels, among others."""
    [found] = [one.value for one in samples if one.name == name and labels.items() <= one.labels.items()]
    return found


def began_s(pid: int) -> float:
    """When a process began, in seconds since 1970, as the kernel says it."""
    booted_s = int(Path("/proc/stat").read_text().split("btime ", 1)[1].split()[0])
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return booted_s + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_whoever_takes_over_tells_of_it_as_an_increase_and_says_why(yard: Yard) -> None:
    first = await yard.worker(**in_pod())
    await yard.enqueue_wait("a", "b")
    await yard.until(lambda: len(yard.lines("start")) == 2)
    dead = (yard.directory / "termination-log").read_text()
    await yard.bench.run(yard.bench.workers.declare_dead(dead, "OOMKilled, exit code 137"))  # as the operator has it
    await yard.bench.run(yard.bench.workers.declare_dead(dead, CONTAINER_RESTARTED))
    first.signal(signal.SIGKILL)

    second = await yard.worker(**in_pod())

    name, labels = "ferryman_recovered_total", {"cause": "oom_killed", "to": "waiting"}
    assert value(await scrape(second), name, **labels) == 0
    samples = await scrape(second)
    assert value(samples, name, **labels) == 2
    assert value(samples, name, cause="restarted", to="waiting") == 0


async def test_the_figures_of_a_process_are_those_of_the_one_that_runs_tasks(yard: Yard) -> None:
    worker = await yard.worker()
    await yard.enqueue_wait("a", name="child")
    await yard.until(lambda: yard.lines("start"))
    pid, child = worker.process.pid, int(yard.lines("start")[0][1])

    samples = await scrape(worker)

    others = list(children(pid))
    assert len(others) == 3, "the beat child, the nursery, and the child that runs the task"
    assert value(samples, "process_start_time_seconds") == pytest.approx(began_s(pid))
    assert began_s(pid) not in map(began_s, others)
    memory = "ferryman_worker_resident_memory_bytes"
    expected = {
        "main": resident_bytes(pid),
        "pool": resident_bytes(child) + resident_bytes(parent(child)),
        "beat": next(resident_bytes(other) for other in others if other not in (child, parent(child))),
    }
    expected_main = value(samples, "process_resident_memory_bytes")
    for process, size in (*expected.items(), ("main", expected_main)):
        assert abs(value(samples, memory, process=process) - size) < 1_000_000, "each is read at another moment"


async def test_round_trips_are_counted_of_the_loop_and_of_the_beats(yard: Yard) -> None:
    worker = await yard.worker()
    await yard.enqueue("a", name="note")
    await yard.until_stats(completed=1)
    samples = await scrape(worker)
    for component in ("worker", "beat"):
        count = value(samples, "ferryman_redis_round_trip_seconds_count", component=component)
        assert count > 0
        assert 0 < value(samples, "ferryman_redis_round_trip_seconds_sum", component=component) < count * 5


async def test_names_that_producers_make_up_by_the_thousand_cost_one_label(yard: Yard) -> None:
    worker = await yard.worker()
    before = await scrape(worker)
    for number in range(NEW_NAMES):
        await yard.bench.enqueue(f"t{number}", name=f"name-{number}")
    await yard.until_stats(parked=NEW_NAMES)

    after = await scrape(worker)

    assert {(one.name, *one.labels.items()) for one in after} == {(one.name, *one.labels.items()) for one in before}
    assert value(after, "ferryman_tasks_total", task="(unknown)", outcome="parked") == NEW_NAMES
    assert not [one for one in after if one.name.endswith("_created")]
