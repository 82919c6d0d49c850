"""Schedules with real processes: two schedulers of which one is killed, and what the commands tell of the code's."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

from ferryman_bench import Bench
from ferryman_yard.programs import Start

from ferryman.durations import duration_ms
from ferryman.inspector import queues_known
from ferryman.schedule import Schedule
from ferryman.task import TaskState
from ferryman.timetable import Timetable

APP = """
from ferryman import Context, Cron, Queue

bench = Queue("bench")

@bench.task(cron=Cron("* * * * *", overlap="skip"))
async def beat(ctx: Context[None], greeting: str = "hello") -> None: ...
"""


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.05)


async def fired(bench: Bench) -> list[str]:
    tasks = (await bench.run(bench.inspector.page(TaskState.WAITING, limit=100))).tasks
    return sorted(task.id for task in tasks)


async def test_each_occurrence_is_fired_once_by_two_schedulers_of_which_one_is_killed(
    real_bench: Bench, redis_url: str, start: Start
) -> None:
    table = Timetable("bench")
    await real_bench.run(table.publish([Schedule("beat", "echo", every_ms=1_000)]))
    words = ("scheduler", "--queue", "bench", "--redis", redis_url)
    first, _ = await start(*words), await start(*words)

    async def so_many(count: int) -> None:
        async def reached() -> bool:
            return len(await fired(real_bench)) >= count

        await eventually(reached, within_s=60)

    await so_many(4)
    first.send_signal(signal.SIGKILL)
    await first.wait()
    await start(*words)
    await so_many(10)
    ids = await fired(real_bench)
    stats = await real_bench.stats()
    assert stats.enqueued >= len(ids)
    moments = [entry.removeprefix("beat:") for entry in ids]
    seconds = [duration_ms(f"{int(at[11:13])}h{int(at[14:16])}m{int(at[17:19])}s") for at in moments]
    assert {later - earlier for earlier, later in pairwise(seconds)} <= {1_000, -86_399_000}, "one was left out"
    assert stats.unaccounted == 0


async def test_the_commands_show_and_fire_what_the_code_says(
    real_bench: Bench, redis_url: str, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    worker = await start("worker", "bench", "--app", str(tmp_path / "app.py"), "--redis", redis_url)

    async def published() -> bool:
        return bool((await real_bench.run(Timetable("bench").agree())).entries)

    await eventually(published, within_s=60)
    assert "bench" in await real_bench.run(queues_known())

    async def say(*words: str) -> str:
        process = await start(*words, "--redis", redis_url, stdout=PIPE, stderr=STDOUT)
        said, _ = await process.communicate()
        return said.decode()

    [one] = json.loads(await say("schedules", "bench", "--json"))
    assert (one["name"], one["task"], one["cron"], one["origin"]) == ("beat", "beat", "* * * * *", "code")
    assert (one["overlap"], one["last_fired_at"]) == ("skip", None)
    assert one["next_at"].endswith(":00.000Z")
    assert "beat" in await say("schedules", "bench")
    task_id = (await say("fire", "bench", "beat")).strip()

    async def completed() -> bool:
        return (await real_bench.stats()).completed == 1

    await eventually(completed, within_s=60)
    shown = json.loads(await say("show", "bench", task_id, "--json"))
    assert (shown["state"], shown["schedule"]) == ("completed", "beat")
    assert "Did you mean 'beat'?" in await say("fire", "bench", "bet")
    worker.send_signal(signal.SIGTERM)
    await worker.wait()
