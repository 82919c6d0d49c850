"""Run: one crash test from start to verdict: starts Redis, workers and schedulers, feeds and kills, waits, judges."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Final

from ferryman.call import command
from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.app import work_queue
from ferryman.crashtest.cast import Cast
from ferryman.crashtest.execution_log import read
from ferryman.crashtest.feeder import Feeder
from ferryman.crashtest.kills import KINDS, Stage
from ferryman.crashtest.outcome import Outcome, Settings
from ferryman.crashtest.plan import Order, last_ms, plan_kills, plan_tasks
from ferryman.crashtest.recovery import aftermaths
from ferryman.crashtest.redis_own import Redis, open_redis
from ferryman.crashtest.verdict import LastSeen, Strike, judge
from ferryman.errors import BrokerError
from ferryman.inspector import Inspector, QueueStats
from ferryman.keys import QUEUES
from ferryman.link import Link
from ferryman.policy import Policy, QueuePolicy

_TELL_EVERY_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.25
_BACK_WITHIN_S: Final = 20.0
_READ_AT_ONCE: Final = 200


class CrashTest:
    """`say` gets lines of progress."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._log = settings.folder / "executions.log"
        self._strikes: list[Strike] = []
        self._started_s = 0.0
        self._time_was_up = False

    async def run(self) -> Outcome:
        """Raises CommandFailed when it cannot start, BrokerError when Redis is gone at the end."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            redis = await open_redis(settings)
            stack.push_async_callback(redis.stop)
            link = Link.from_url(redis.url, client_name="ferryman-crash-test")
            stack.push_async_callback(link.close)
            await self._claim_queue(link)
            env = {
                **settings.env,
                "FERRYMAN_REDIS_URL": redis.url,
                "FERRYMAN_WORKER_TIMEOUT": f"{settings.worker_timeout_ms}ms",
            }
            cast = Cast(settings.queue, settings.folder, self._log, env, settings.workers, settings.schedulers)
            stack.callback(cast.kill)
            self._say(f"starting {settings.workers} workers and {settings.schedulers} schedulers on {redis.kind}")
            await cast.start(link)
            outcome = await self._perform(redis, link, cast)
            if settings.redis_url and not outcome.problems:
                await self._sweep(link)
            return outcome

    async def _perform(self, redis: Redis, link: Link, cast: Cast) -> Outcome:
        settings = self._settings
        kinds = [KINDS[name].plan(settings.worker_timeout_ms) for name in settings.kinds]
        orders = plan_kills(settings.seed, settings.kills, settings.workers, kinds)
        tasks = plan_tasks(settings.seed, settings.tasks, settings.task_ms)
        queue = work_queue(settings.queue, self._log, "producer", redis.url)
        feeder = Feeder(queue, tasks, max((order.at_ms for order in orders), default=0))
        stage = Stage(cast.workers, cast.schedulers, redis)
        self._started_s = time.monotonic()
        self._say(f"{len(tasks):,} tasks, {len(orders)} kills in {last_ms(orders) / 1_000:.0f} s")
        telling = asyncio.create_task(self._tell(link, feeder))
        try:
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(feeder.run())
                group.create_task(self._kill(stage, orders))
                group.create_task(self._drained(link, feeding, self._started_s + last_ms(orders) / 1_000))
        finally:
            telling.cancel()
        took_s = time.monotonic() - self._started_s
        missing = await cast.wait_for_workers(link, _BACK_WITHIN_S)
        await cast.stop()
        executions, damaged = read(self._log)
        stats, finals = await self._last_look(link, [task.id for task in tasks])
        verdict = judge(
            feeder.accepted,
            executions,
            self._strikes,
            finals,
            stats.unaccounted,
            damaged_lines=damaged,
            refused=len(tasks) - len(feeder.accepted),
        )
        return Outcome(
            settings=settings,
            verdict=verdict,
            aftermaths=aftermaths(executions, sorted(self._strikes, key=lambda strike: strike.number)),
            stats=stats,
            executions=len(executions),
            resent_enqueues=feeder.resent,
            unasked_exits=cast.unasked_exits(),
            missing_workers=missing,
            bound_ms=redis.forgets_ms,
            took_s=took_s,
            time_was_up=self._time_was_up,
        )

    async def _claim_queue(self, link: Link) -> None:
        """Raises CommandFailed when somebody uses this queue."""
        stats = await link.run(Inspector(self._settings.queue).stats())
        if stats.enqueued or stats.workers:
            raise CommandFailed(
                f"the queue {self._settings.queue} is in use here: {stats.enqueued:,} tasks were enqueued to it and "
                f"{stats.workers} workers run. Choose another --queue; a crash test needs one of its own."
            )
        # The status of every task is kept to the end, so that "completed" and "never existed" differ for each id.
        policy = {"completed_max": max(2 * self._settings.tasks, Policy().completed_max), "completed_ms": 86_400_000}
        await link.run(QueuePolicy(self._settings.queue).write(policy, generation=1))

    async def _kill(self, stage: Stage, orders: Sequence[Order]) -> None:
        async with asyncio.TaskGroup() as group:
            for order in orders:
                await asyncio.sleep(max(0.0, self._started_s + order.at_ms / 1_000 - time.monotonic()))
                group.create_task(self._strike(stage, order))

    async def _strike(self, stage: Stage, order: Order) -> None:
        lasts = f" for {order.lasts_ms / 1_000:.1f} s" if order.lasts_ms else ""
        where = f" worker-{order.victim}" if KINDS[order.kind].plan(0).hits_worker else ""
        self._say(f"{self._clock()}  kill {order.number}/{self._settings.kills}: {order.kind}{where}{lasts}")
        self._strikes.append(await KINDS[order.kind].strike(stage, order))

    async def _drained(self, link: Link, feeding: asyncio.Task[None], kills_end_s: float) -> None:
        """Waits until everything is done, or for as long after the last kill as a person allows."""
        while time.monotonic() < kills_end_s + self._settings.timeout_s:
            await asyncio.sleep(_LOOK_EVERY_S)
            if feeding.done():
                stats = await self._figures(link)
                if stats and not stats.waiting + stats.delayed + stats.active:
                    return
        feeding.cancel()
        self._time_was_up = True
        self._say(f"{self._clock()}  {self._settings.timeout_s:g} s have passed since the last kill: time is up")

    async def _tell(self, link: Link, feeder: Feeder) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            if s := await self._figures(link):
                self._say(
                    f"{self._clock()}  {len(feeder.accepted):,} accepted, {s.completed:,} completed, "
                    f"{s.waiting:,} waiting, {s.active} active, {s.delayed} delayed, {s.dead} dead, "
                    f"{s.recovered:,} recovered, {s.workers} workers"
                )

    async def _figures(self, link: Link) -> QueueStats | None:
        with suppress(BrokerError):
            return await link.run(Inspector(self._settings.queue).stats())
        return None  # Redis is away, on purpose; the next look finds it

    async def _last_look(self, link: Link, ids: Sequence[str]) -> tuple[QueueStats, dict[str, LastSeen]]:
        inspector = Inspector(self._settings.queue)
        finals = {}
        for some in _batches(ids, _READ_AT_ONCE):
            for task_id, task in zip(some, await link.run_all([inspector.get(id) for id in some]), strict=True):
                if isinstance(task, Exception):
                    raise task
                finals[task_id] = LastSeen(task.state, task.crashes, task.error) if task else LastSeen(None)
        return await link.run(inspector.stats()), finals

    async def _sweep(self, link: Link) -> None:
        """Leaves nothing in a Redis that is not ours, the name in the list of queues included: it never comes back."""
        keys = Inspector(self._settings.queue).keys
        rest = [keys.waiting, keys.handed, keys.handed_seen, keys.priority, keys.delayed, keys.dead, keys.completed]
        rest += [keys.workers, keys.suspected, keys.slots, keys.manifest, keys.stats, keys.config]
        tasks = [keys.task + task.id for task in plan_tasks(0, self._settings.tasks, 0)]
        for some in _batches([*tasks, *rest], _READ_AT_ONCE):
            await link.run(command("UNLINK", *some, read=int))
        await link.run(command("SREM", QUEUES, self._settings.queue, read=int))

    def _clock(self) -> str:
        return f"{time.monotonic() - self._started_s:6.1f} s"


def _batches(ids: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
