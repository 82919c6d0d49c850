"""Limits with real workers and a real scheduler: never exceeded, whoever dies, and nobody polls for them."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ferryman_yard
from ferryman_yard.process import WorkerProcess, in_pod
from ferryman_yard.programs import Start
from ferryman_yard.yard import Yard

from ferryman.call import command
from ferryman.new_task import NewTask
from ferryman.terms import Terms

APP = str(Path(ferryman_yard.__file__).with_name("lane_app.py"))


async def limit(yard: Yard, **fields: int) -> None:
    await yard.bench.run(yard.bench.policy.write(fields, 1))


async def send(yard: Yard, tenant: str, count: int, ms: int = 0) -> None:
    terms, args = Terms(lane=tenant).encode(), f'{{"tenant":"{tenant}","ms":{ms}}}'.encode()
    for first in range(0, count, 500):
        ids = range(first, min(first + 500, count))
        tasks = [NewTask(f"{tenant}-{n}", "stay", args, terms=terms) for n in ids]
        await yard.bench.run(yard.bench.broker.enqueue(tasks))


async def workers(yard: Yard, count: int) -> Sequence[WorkerProcess]:
    return [await yard.worker(**in_pod(f"pod-{n}", YARD_APP=APP)) for n in range(count)]


def most_at_once(yard: Yard, ended: dict[int, float] | None = None) -> dict[str, int]:
    """Per tenant; what ran in a process that was killed (pid -> when) ended then."""
    changes: dict[str, list[tuple[float, int]]] = defaultdict(list)
    open_runs: dict[str, tuple[str, int]] = {}
    events = [(at, 1, words) for at, words in yard.moments("in")] + [
        (at, 0, words) for at, words in yard.moments("out")
    ]
    for at, entered, words in sorted(events, key=lambda event: (event[0], event[1])):
        task, tenant = words[0], words[1]
        changes[tenant].append((at, 1 if entered else -1))
        if entered:
            if (before := open_runs.get(task)) is not None and before[1] in (ended or {}):
                changes[tenant].append(((ended or {})[before[1]], -1))
            open_runs[task] = (tenant, int(words[2]))
        else:
            open_runs.pop(task, None)
    most: dict[str, int] = {}
    for tenant, steps in changes.items():
        running = 0
        for _, step in sorted(steps):
            running += step
            most[tenant] = max(most.get(tenant, 0), running)
    return most


async def places(yard: Yard) -> list[bytes]:
    """Keys that speak of lanes; none when all is done."""
    found: list[bytes] = []
    for name in ("lane:*", "places:*", "lanes", "lane-*", "blocked"):
        found += await yard.bench.run(command("KEYS", yard.bench.keys.root + name, read=list))
    return found


async def test_a_big_tenant_keeps_nobody_waiting_and_no_lane_runs_more_than_it_may(yard: Yard) -> None:
    await limit(yard, lane_concurrency=6)
    await send(yard, "big", 20_000)
    await workers(yard, 4)
    await send(yard, "middle", 200)
    await send(yard, "small", 10)
    await yard.until_stats(completed=20_210, active=0, patience_s=200)

    assert max(most_at_once(yard).values()) <= 6
    ends = [words[1] for _, words in yard.moments("out")]
    big_before = {tenant: ends[: len(ends) - ends[::-1].index(tenant)].count("big") for tenant in ("small", "middle")}
    first = ends.index("small")
    assert big_before["small"] - ends[:first].count("big") < 200, "the ten run beside the big one's, not behind them"
    assert big_before["middle"] < 19_000
    assert await places(yard) == []
    assert (await yard.bench.stats()).ready == 0


async def test_a_rate_is_exact_in_every_window(yard: Yard, start: Start) -> None:
    count, period_s = 20, 0.5
    await limit(yard, lane_rate_count=count, lane_rate_ms=int(period_s * 1_000))
    await yard.bench.run(yard.bench.broker.announce())
    await start("scheduler", "--redis", yard.redis_url, "--queue", "bench")
    await workers(yard, 2)
    await send(yard, "a", 120)
    await yard.until_stats(completed=120, active=0)

    starts = sorted(at for at, _ in yard.moments("in"))
    assert starts[-1] - starts[0] >= 5 * period_s - 0.1
    # A handler begins some milliseconds after its fetch; in two thirds of a window that can hide no surplus.
    windows = [sum(1 for at in starts if first <= at < first + period_s * 2 / 3) for first in starts]
    assert max(windows) <= count
    assert starts[-1] - starts[0] < 5 * period_s + 2


async def test_a_worker_that_waits_for_a_limit_only_beats(yard: Yard) -> None:
    await limit(yard, lane_concurrency=1)
    terms, args = Terms(lane="a").encode(), f'{{"tenant":"a","path":"{yard.gate}"}}'.encode()
    await yard.bench.run(yard.bench.broker.enqueue([NewTask(f"a-{n}", "wait", args, terms=terms) for n in range(50)]))
    await workers(yard, 2)
    await yard.until(lambda: yard.lines("in"))
    await asyncio.sleep(0.5)  # what a start brings with it
    await yard.bench.run(command("CONFIG", "RESETSTAT", read=bool))
    began = len(yard.lines("in"))
    window_s = 3.0
    await asyncio.sleep(window_s)

    stats = await yard.bench.run(command("INFO", "commandstats", read=lambda reply: reply))
    calls = {line.split(":")[0]: int(line.split("calls=")[1].split(",")[0]) for line in _lines(stats)}
    assert began == len(yard.lines("in")) == 1
    # Beats of 60 s / 15 = 4 s, and a BLMOVE now and then: nothing else.
    assert calls.get("cmdstat_evalsha", 0) + calls.get("cmdstat_fcall", 0) <= 4, calls
    assert calls.get("cmdstat_blmove", 0) <= 4, calls
    yard.gate.touch()
    await yard.until_stats(completed=50, active=0)
    assert most_at_once(yard) == {"a": 1}


async def test_killed_workers_leave_no_place_behind(yard: Yard) -> None:
    await limit(yard, lane_concurrency=3)
    for tenant in ("a", "b"):
        await send(yard, tenant, 150, ms=10)
    async with yard.recoverer(), yard.kept_running("pod-1", "pod-2", "pod-3", YARD_APP=APP):
        for _ in range(5):
            await yard.until(partial(_has_ended, yard, len(yard.lines("out")) + 15))
            running = [worker for worker in yard.workers if worker.running]
            running[0].signal(signal.SIGKILL)
        await yard.until_stats(completed=300, active=0, patience_s=120)

    assert await places(yard) == []


def _has_ended(yard: Yard, count: int) -> bool:
    return len(yard.lines("out")) > count


def _lines(info: object) -> list[str]:
    text = info.decode() if isinstance(info, bytes) else str(info)
    return [line for line in text.splitlines() if line.startswith("cmdstat_")]
