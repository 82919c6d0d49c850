"""Run: one crash test from start to verdict: starts Redis, workers and schedulers, feeds and kills, waits, judges."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, nullcontext
from typing import Final

from ferryman.crashtest import kinds
from ferryman.crashtest.almanac import Almanac
from ferryman.crashtest.app import LANE_CONCURRENCY, work_queue
from ferryman.crashtest.bursts import plan_bursts
from ferryman.crashtest.cast import API_PLACE, Cast, scheduler_places, worker_places
from ferryman.crashtest.claims import Asked, examine, late_comers
from ferryman.crashtest.execution_log import read
from ferryman.crashtest.feeder import Feeder
from ferryman.crashtest.ground import Ground
from ferryman.crashtest.kills import KILLS
from ferryman.crashtest.links import PRODUCER, Links
from ferryman.crashtest.outcome import Outcome, Settings
from ferryman.crashtest.plan import RESPITE_MS, Order, last_ms, plan_kills, plan_work
from ferryman.crashtest.possible import choose_kinds
from ferryman.crashtest.poster import Poster
from ferryman.crashtest.recovery import aftermaths
from ferryman.crashtest.redis_own import Redis, open_redis
from ferryman.crashtest.stage import Stage
from ferryman.crashtest.standstill import Standstills, strikes_of
from ferryman.crashtest.strike import Strike
from ferryman.crashtest.verdict import judge
from ferryman.dev.redis_server import free_port
from ferryman.link import Link

_TELL_EVERY_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.25
_BACK_WITHIN_S: Final = 60.0
#: No fault hits the test's own link, and a Redis that is killed resets it: it waits only where a machine stands still.
_REPLY_WITHIN_S: Final = 60.0


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
            chosen = choose_kinds(settings)
            if chosen.cage is not None:
                stack.callback(chosen.cage.remove)
            for kind, why in chosen.left_out.items():
                self._say(f"left out: {kind}: {why}")
            redis = await open_redis(settings)
            stack.push_async_callback(redis.stop)
            link = Link.from_url(redis.url, client_name="ferryman-crash-test", reply_timeout_s=_REPLY_WITHIN_S)
            stack.push_async_callback(link.close)
            ground = Ground(settings.queue, link)
            await ground.claim(settings.tasks)
            api_port = free_port(0) if kinds.API in chosen.kinds else 0
            cast, links = await self._engage(redis, api_port, stack)
            await cast.start(link)
            poster = Poster(settings.queue, api_port) if api_port else None
            timeout_ms = settings.worker_timeout_ms
            stage = Stage(cast.workers, cast.schedulers, cast.api, redis, links, poster, chosen.cage, timeout_ms)
            outcome = await self._perform(stage, ground, link, cast, chosen.kinds, chosen.left_out)
            if settings.redis_url and not outcome.problems:
                await ground.sweep()
            return outcome

    async def _engage(self, redis: Redis, api_port: int, stack: AsyncExitStack) -> tuple[Cast, Links]:
        settings = self._settings
        places = [*worker_places(settings.workers), *scheduler_places(settings.schedulers), PRODUCER, API_PLACE]
        links = Links(redis.url, places)
        stack.push_async_callback(links.stop)
        await links.start()
        env = {**settings.env, "FERRYMAN_WORKER_TIMEOUT": f"{settings.worker_timeout_ms}ms"}
        cast = Cast(
            settings.queue,
            settings.folder,
            self._log,
            env,
            links.url,
            workers=settings.workers,
            schedulers=settings.schedulers,
            api_port=api_port,
        )
        stack.callback(cast.kill)
        api = " and an API" if api_port else ""
        self._say(f"starting {settings.workers} workers, {settings.schedulers} schedulers{api} on {redis.kind}")
        return cast, links

    async def _perform(
        self,
        stage: Stage,
        ground: Ground,
        link: Link,
        cast: Cast,
        chosen: Sequence[str],
        left_out: dict[str, str],
    ) -> Outcome:
        settings = self._settings
        plans = [KILLS[name].plan(settings.worker_timeout_ms) for name in chosen]
        orders = plan_kills(settings.seed, settings.kills, settings.workers, plans)
        work = plan_work(settings.seed, settings.tasks, settings.task_ms)
        ids, joins = work.ids, work.joins
        bursts = plan_bursts(settings.tasks, settings.task_ms)
        almanac = Almanac(settings.queue, link)
        await almanac.begin()
        if forgets_ms := stage.redis.forgets_ms:
            await asyncio.sleep(forgets_ms / 1_000)  # no kill may take the beginning back
        queue = work_queue(settings.queue, self._log, "producer", stage.links.url(PRODUCER))
        feeding_ms = max((order.at_ms for order in orders), default=0)
        feeder = Feeder(queue, work.tasks, feeding_ms, stage.poster, work.flows, bursts)
        self._started_s = time.monotonic()
        parts = f", {len(ids) - len(work.tasks):,} of them in {len(work.flows):,} workflows" if work.flows else ""
        self._say(f"{len(ids):,} tasks{parts}, {len(orders)} kills in {last_ms(orders) / 1_000:.0f} s")
        standstills = Standstills(link)
        watching = asyncio.create_task(standstills.watch())
        telling = asyncio.create_task(self._tell(ground, feeder))
        try:
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(feeder.run())
                killing = group.create_task(self._kill(stage, orders))
                give_up_s = self._started_s + last_ms(orders) / 1_000 + settings.timeout_s
                group.create_task(self._drained(ground, almanac, feeding, killing, give_up_s))
        finally:
            telling.cancel()
        took_s = time.monotonic() - self._started_s
        missing = await cast.wait_for_workers(link, _BACK_WITHIN_S)
        await cast.stop()
        watching.cancel()
        standing = strikes_of(standstills.gaps, self._strikes, settings.worker_timeout_ms)
        strikes = [*self._strikes, *standing]
        executions, damaged = read(self._log)
        stats = await ground.stats()
        assert stats.unaccounted is not None  # for a proof all is counted
        asked = Asked(
            schedules=almanac.names,
            due=almanac.due(),
            beyond=almanac.beyond(stats.now_ms),
            answers=feeder.answers,
            lanes=work.lanes,
            lane_limit=LANE_CONCURRENCY,
        )
        scheduled = {**asked.due, **asked.beyond}
        unique = [one for burst in bursts for one in burst.ids]
        finals = await ground.last_look([*ids, *unique, *scheduled])
        known = {one.id for one in executions} | {one for one, seen in finals.items() if seen.state is not None}
        fired = {one: at_ms for one, at_ms in scheduled.items() if one in known}
        verdict = judge(
            {**feeder.accepted, **fired, **late_comers(feeder.answers, self._strikes, known)},
            executions,
            strikes,
            finals,
            stats.unaccounted,
            damaged_lines=damaged,
            refused=sum(1 for one in ids if one not in feeder.accepted) + len(unique) - len(feeder.answers),
            joins=joins,
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
            bound_ms=stage.redis.forgets_ms,
            took_s=took_s,
            time_was_up=self._time_was_up,
            posted=feeder.posted,
            posted_again=feeder.posted_again,
            lost_replies=sum(relay.lost_replies for relay in stage.links.all()),
            left_out=left_out,
            workflows=len(work.flows),
            followers=len(joins),
            standstills=standing,
            findings=examine(asked, executions, strikes, finals, stats.enqueued, await ground.lanes()),
        )

    async def _kill(self, stage: Stage, orders: Sequence[Order]) -> None:
        async with asyncio.TaskGroup() as group:
            for order in orders:
                await asyncio.sleep(max(0.0, self._started_s + order.at_ms / 1_000 - time.monotonic()))
                group.create_task(self._strike(stage, order))

    async def _strike(self, stage: Stage, order: Order) -> None:
        kill = KILLS[order.kind]
        victim = stage.workers[order.victim] if kill.plan(stage.worker_timeout_ms).hits_worker else None
        # A worker may take its whole grace to stop: it is not hit again before its successor had time to take tasks.
        is_late = victim is not None and victim.turn.locked()
        async with victim.turn if victim else nullcontext():
            if victim is not None and is_late:
                await victim.process()
                await asyncio.sleep(RESPITE_MS / 1_000)
            lasts = f" for {order.lasts_ms / 1_000:.1f} s" if order.lasts_ms else ""
            where = f" {victim.place}" if victim else ""
            self._say(f"{self._clock()}  kill {order.number}/{self._settings.kills}: {order.kind}{where}{lasts}")
            self._strikes.append(await kill.strike(stage, order))

    async def _drained(
        self,
        ground: Ground,
        almanac: Almanac,
        feeding: asyncio.Task[None],
        killing: asyncio.Task[None],
        give_up_s: float,
    ) -> None:
        """Takes the schedules back when the last kill is over, and waits until everything is done; for a time only."""
        while time.monotonic() < give_up_s:
            await asyncio.sleep(_LOOK_EVERY_S)
            if not feeding.done() or not killing.done():
                continue
            if not almanac.retired:
                await almanac.retire()
            elif (stats := await ground.figures()) and not (
                stats.waiting + stats.delayed + stats.blocked + stats.active
            ):
                return
        feeding.cancel()
        self._time_was_up = True
        self._say(f"{self._clock()}  {self._settings.timeout_s:g} s have passed since the last kill: time is up")

    async def _tell(self, ground: Ground, feeder: Feeder) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            if s := await ground.figures():
                self._say(
                    f"{self._clock()}  {len(feeder.accepted):,} accepted, {s.completed:,} completed, "
                    f"{s.waiting:,} waiting, {s.active} active, {s.delayed} delayed, {s.blocked} blocked, "
                    f"{s.dead} dead, {s.recovered:,} recovered, {s.workers} workers"
                )

    def _clock(self) -> str:
        return f"{time.monotonic() - self._started_s:6.1f} s"
