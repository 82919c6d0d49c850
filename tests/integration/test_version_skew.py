"""Two versions on one queue, of the app and of the protocol: nothing is burnt, and what is too far is refused."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from asyncio.subprocess import PIPE
from pathlib import Path

import ferryman_yard
from ferryman_yard.programs import Start
from ferryman_yard.yard import Yard

import ferryman
from ferryman.call import command
from ferryman.new_task import NewTask
from ferryman.protocol import PROTOCOL

_YARD = Path(ferryman_yard.__file__).parents[1]
_SKEW_APP = str(_YARD / "ferryman_yard/skew_app.py")


def _speaks(number: int, directory: Path) -> dict[str, str]:
    """The environment of a process whose ferryman is a copy of ours with another protocol number."""
    place = directory / f"speaks-{number}"
    if not place.exists():
        shutil.copytree(
            Path(ferryman.__file__).parent, place / "ferryman", ignore=shutil.ignore_patterns("__pycache__")
        )
        constant = place / "ferryman/protocol.py"
        text, found = re.subn(r"(?m)^PROTOCOL: Final = \d+$", f"PROTOCOL: Final = {number}", constant.read_text())
        assert found == 1
        constant.write_text(text)
    return {"PYTHONPATH": os.pathsep.join((str(place), str(_YARD)))}


async def test_tasks_go_to_those_workers_whose_manifest_fits_and_none_is_burnt(yard: Yard) -> None:
    await yard.worker(YARD_APP=_SKEW_APP, YARD_APP_VERSION="1")
    await yard.worker(YARD_APP=_SKEW_APP, YARD_APP_VERSION="2")
    old, new, extra = ([f"{kind}{i}" for i in range(40)] for kind in ("old", "new", "extra"))
    await yard.enqueue(*old, name="move", args='{"number": 1}')
    await yard.enqueue(*new, name="move", args='{"target": "there"}')
    await yard.enqueue(*extra, name="extra")
    async with yard.recoverer():
        await yard.until_stats(completed=120, dead=0, parked=0, delayed=0, active=0)
    ran = [tuple(words) for words in yard.lines("move") + yard.lines("extra")]
    expected = {*(("1", id, "1") for id in old), *(("2", id, "1") for id in [*new, *extra])}
    assert len(ran) == 120
    assert set(ran) == expected, "each once, by its version, in its first attempt"


async def test_the_budget_of_parks_is_kept_while_a_living_worker_knows_the_name(yard: Yard) -> None:
    """The new worker is there and has its only slot full: what only the old one fetches must wait, however often."""
    await yard.worker(YARD_APP=_SKEW_APP, YARD_APP_VERSION="2", FERRYMAN_CONCURRENCY="1")
    await yard.enqueue_wait("busy")
    await yard.until(lambda: yard.lines("start"))
    old = await yard.worker(YARD_APP=_SKEW_APP, YARD_APP_VERSION="1")
    await yard.enqueue("a", name="extra")
    await yard.enqueue("b", name="move", args='{"target": "there"}')

    async def often() -> bool:
        tasks = [await yard.task("a"), await yard.task("b")]
        return min(task.deliveries for task in tasks) >= 4

    async with yard.recoverer():
        await yard.until(often)
        assert (await yard.bench.stats()).dead == 0
        parked = await yard.task("b")
        assert "another version, which can run it" in parked.error
        parks = command("HGET", yard.bench.keys.task + "a", "parks", read=lambda reply: reply)
        assert await yard.bench.run(parks) is None, "none was counted"
        yard.gate.touch()
        old.signal(signal.SIGTERM)
        await yard.until_stats(completed=3, dead=0, parked=0)


async def test_arguments_that_fit_no_version_are_dead_at_once(yard: Yard) -> None:
    await yard.worker(YARD_APP=_SKEW_APP, YARD_APP_VERSION="1")
    await yard.worker(YARD_APP=_SKEW_APP, YARD_APP_VERSION="2")
    await yard.enqueue("bad", name="move", args='{"colour": "red"}')
    await yard.until_stats(dead=1)
    assert (await yard.task("bad")).deliveries == 1


async def test_a_protocol_that_is_one_away_works_along_on_both_sides(yard: Yard, start: Start, tmp_path: Path) -> None:
    """Scheduler and producer speak N, one worker N-1, one N+1."""
    await start("scheduler", "--queue", "bench", "--redis", yard.redis_url)
    await yard.enqueue("first", name="note")
    older = await yard.worker(**_speaks(PROTOCOL - 1, tmp_path))
    newer = await yard.worker(**_speaks(PROTOCOL + 1, tmp_path))
    rows = await yard.bench.run(yard.bench.workers.list())
    assert sorted(row.protocol for row in rows) == [PROTOCOL - 1, PROTOCOL + 1]
    await yard.bench.run(
        yard.bench.broker.enqueue([NewTask(f"t{i}", "note", b"{}", delay_ms=i * 10) for i in range(200)])
    )
    await yard.until_stats(completed=201, dead=0, delayed=0, active=0)
    assert sorted(words[0] for words in yard.lines("note")) == sorted(["first", *(f"t{i}" for i in range(200))])
    assert (await yard.bench.stats()).protocol == PROTOCOL
    # What one of them held when it died comes back.
    await yard.enqueue_wait("held")
    await yard.until(lambda: yard.lines("start"))
    holder = next(worker for worker in (older, newer) if str(worker.process.pid) == yard.lines("start")[0][1])
    holder.signal(signal.SIGKILL, group=True)
    [name] = [row.id for row in await yard.bench.run(yard.bench.workers.list()) if row.active]
    await yard.bench.run(yard.bench.workers.hint_gone(name, "killed"))
    yard.gate.touch()
    await yard.until_stats(completed=202, dead=0, recovered=1)


async def test_a_protocol_that_is_two_away_is_refused_and_says_what_to_upgrade(
    yard: Yard, start: Start, tmp_path: Path
) -> None:
    far = _speaks(PROTOCOL + 2, tmp_path)
    await yard.enqueue("t", name="note")
    before = {task.id: task for task in [await yard.task("t")]}
    worker = yard.start(**far)
    assert await yard.exit_code(worker) == 1
    said = worker.said()
    assert f"protocol {PROTOCOL + 2} here, {PROTOCOL} in Redis: upgrade the queue's scheduler (the chart)" in said
    assert "Traceback" not in said
    stats = await yard.bench.stats()
    assert (stats.workers, stats.waiting, stats.refused_protocol) == (0, 1, PROTOCOL + 2)

    producer = await start("enqueue", "bench", "note", "--redis", yard.redis_url, stderr=PIPE, **far)
    _, error = await producer.communicate()
    assert producer.returncode == 1
    assert b"upgrade the queue's scheduler" in error

    scheduler = await start("scheduler", "--queue", "bench", "--redis", yard.redis_url, stderr=PIPE, **far)
    assert scheduler.stderr is not None
    log = b""
    async with asyncio.timeout(30):
        while b"protocol was refused" not in log:
            log += await scheduler.stderr.read(1_000)
    assert f"protocol {PROTOCOL + 2} here".encode() in log
    assert {task.id: task for task in [await yard.task("t")]} == before, "nobody has touched it"

    await yard.worker()
    await yard.until_stats(completed=1, dead=0)
