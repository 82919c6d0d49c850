"""Run: one crash test on Kubernetes from start to verdict: builds, feeds and kills, waits, reads, judges, cleans up."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.app import LANE_CONCURRENCY
from ferryman.crashtest.claims import Asked, examine
from ferryman.crashtest.cluster import objects
from ferryman.crashtest.cluster.bounds import recoveries
from ferryman.crashtest.cluster.clock import read_clock
from ferryman.crashtest.cluster.journal import Journal, read_journal
from ferryman.crashtest.cluster.kills import KILLS, NobodyToKill, Stage
from ferryman.crashtest.cluster.kinds import KINDS, REDIS_POD
from ferryman.crashtest.cluster.kubectl import Kubectl, KubectlFailed
from ferryman.crashtest.cluster.outcome import ClusterOutcome, ClusterSettings
from ferryman.crashtest.cluster.producer import finals_of
from ferryman.crashtest.cluster.rescuers import Rescuers
from ferryman.crashtest.cluster.schedule import schedule
from ferryman.crashtest.cluster.strikes import Blow, hits, unasked
from ferryman.crashtest.cluster.town import Town
from ferryman.crashtest.plan import Order, last_ms, plan_work
from ferryman.crashtest.redis_own import FORGETS_MS
from ferryman.crashtest.verdict import judge

_TELL_EVERY_S: Final = 10.0
_LOOK_EVERY_S: Final = 1.0
_BACK_WITHIN_S: Final = 120.0
_EXAMINE_S: Final = 120.0


class ClusterCrashTest:
    """`say` gets lines of progress."""

    def __init__(self, settings: ClusterSettings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._kubectl = Kubectl(settings.context, settings.namespace)
        self._town = Town(self._kubectl, say)
        self._rescuers = Rescuers(self._town, say)
        self._figures: dict[str, Any] = {}
        self._blows: list[Blow] = []
        self._left_out: list[str] = []
        self._started_s = 0.0

    async def run(self) -> ClusterOutcome:
        """Raises CommandFailed when it cannot start, or when the cluster does not do what it is asked."""
        await self._town.find_ferryman()
        cast, kinds = await self._choose()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._town.leave, self._settings.keep)
            stack.push_async_callback(self._rescuers.restore)
            await self._build(cast)
            return await self._perform(cast, kinds)

    async def _choose(self) -> tuple[objects.Cast, list[str]]:
        settings, town = self._settings, self._town
        kinds = [name for name in settings.kinds if not (settings.redis_url and KINDS[name].needs_own_redis)]
        volume = REDIS_POD in kinds and await town.has_volumes()
        if REDIS_POD in kinds and not volume:
            self._say(f"left out: {REDIS_POD}: this cluster has no default StorageClass, so its data would go with it")
            kinds.remove(REDIS_POD)
        if not kinds:
            raise CommandFailed("none of these kinds of kill is possible here")
        cast = objects.Cast(
            namespace=settings.namespace,
            queue=settings.queue,
            image=settings.image or town.worker_image(),
            redis_image=settings.redis_image or await town.redis_image(),
            redis_url=settings.redis_url or f"redis://{objects.REDIS}.{settings.namespace}:6379/0",
            appendfsync=settings.appendfsync,
            volume=volume,
            workers=settings.workers,
            concurrency=settings.concurrency,
        )
        return cast, kinds

    async def _build(self, cast: objects.Cast) -> None:
        town, label = self._town, objects.LABEL
        self._say(f"building in namespace {cast.namespace}: {cast.workers} workers of {cast.image}")
        await town.enter()
        if not self._settings.redis_url:
            await town.build(objects.redis(cast), f"{label}={objects.REDIS}")
        await town.build(objects.collector(cast), f"{label}={objects.COLLECTOR}")
        await town.build(objects.task_queue(cast), town.workers_of(cast.queue), cast.workers)

    async def _perform(self, cast: objects.Cast, kinds: Sequence[str]) -> ClusterOutcome:
        settings = self._settings
        orders = schedule(settings.seed, settings.kills, settings.over_ms, [KINDS[name] for name in kinds])
        over_ms = max(settings.over_ms, last_ms(orders))
        clock = await read_clock(self._kubectl)
        self._say(f"{settings.tasks:,} tasks, {len(orders)} kills in {over_ms / 1_000:.0f} s")
        planned = ["--seed", str(settings.seed), "--tasks", str(settings.tasks), "--task-ms", str(settings.task_ms)]
        label = f"{objects.LABEL}={objects.PRODUCER}"
        await self._town.build(objects.producer(cast, [*planned, "--over-ms", str(over_ms)]), label)
        self._started_s = time.monotonic()
        stage = Stage(
            kubectl=self._kubectl,
            town=self._town,
            rescuers=self._rescuers,
            clock=clock,
            queue=cast.queue,
            forgets_ms=FORGETS_MS[settings.appendfsync],
            recovered=lambda: int(self._figures.get("recovered", 0)),
            hit=set(),
        )
        watching = asyncio.create_task(self._watch())
        try:
            await self._kill(stage, orders)
            time_was_up = not await self._drained(self._started_s + over_ms / 1_000)
        finally:
            watching.cancel()
        took_s = time.monotonic() - self._started_s
        missing = await self._missing_workers(cast)
        journal = await self._read_journal()
        answer = json.loads(await self._examine(cast, planned))
        work = plan_work(settings.seed, settings.tasks, settings.task_ms)
        ids, joins = work.ids, work.joins
        finals = finals_of(answer, ids)
        found = hits(self._blows, journal)
        strikes = [hit.strike for hit in found]
        verdict = judge(
            journal.accepted,
            journal.executions,
            strikes,
            finals,
            answer["stats"]["unaccounted"],
            damaged_lines=journal.damaged_lines,
            refused=len(ids) - len(journal.accepted),
            joins=joins,
        )
        asked = Asked(lanes=work.lanes, lane_limit=LANE_CONCURRENCY)
        enqueued = answer["stats"]["enqueued"]
        return ClusterOutcome(
            settings=settings,
            verdict=verdict,
            recoveries=recoveries(found, journal),
            stats=answer["stats"],
            executions=len(journal.executions),
            resent_enqueues=int(self._figures.get("resent", 0)),
            unasked_ends=list(unasked(found, journal)),
            missing_workers=missing,
            left_out=self._left_out,
            bound_ms=stage.forgets_ms if any(blow.outage for blow in self._blows) else 0.0,
            took_s=took_s,
            time_was_up=time_was_up,
            workflows=len(work.flows),
            followers=len(joins),
            findings=examine(asked, journal.executions, strikes, finals, enqueued, answer["lanes"]),
        )

    async def _kill(self, stage: Stage, orders: Sequence[Order]) -> None:
        """Each at its time. A kind that must be alone waits for the others, and those after it wait for it."""
        try:
            await self._kill_in_time(stage, orders)
        except ExceptionGroup as failures:  # the group's way to say it; a person wants to read the first one
            raise failures.exceptions[0] from failures

    async def _kill_in_time(self, stage: Stage, orders: Sequence[Order]) -> None:
        going: set[asyncio.Task[None]] = set()
        late_s = 0.0
        async with asyncio.TaskGroup() as group:
            for order in orders:
                due_s = self._started_s + order.at_ms / 1_000 + late_s
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                if not KINDS[order.kind].alone_ms:
                    going.add(group.create_task(self._strike(stage, order)))
                    continue
                if going:
                    await asyncio.wait(going)
                await self._strike(stage, order)
                # It may be over sooner than planned, or later.
                late_s += time.monotonic() - due_s - order.lasts_ms / 1_000

    async def _strike(self, stage: Stage, order: Order) -> None:
        self._say(f"{self._clock()}  kill {order.number}/{self._settings.kills}: {order.kind}")
        try:
            blow = await KILLS[order.kind].strike(stage, order)
        except (NobodyToKill, KubectlFailed) as error:
            self._left_out.append(f"kill {order.number}, {order.kind}: {error}")
        else:
            self._blows.append(blow)

    async def _watch(self) -> None:
        """Keeps the figures fresh, and tells them."""
        told_s = time.monotonic()
        while True:
            try:
                text = await self._kubectl.run("logs", objects.PRODUCER, "--tail=1", timeout_s=10)
                self._figures |= json.loads(text or "{}")
            except (KubectlFailed, ValueError):
                pass  # the next look finds them
            if time.monotonic() - told_s >= _TELL_EVERY_S and "waiting" in self._figures:
                told_s = time.monotonic()
                names = ("accepted", "completed", "waiting", "active", "delayed", "dead", "recovered", "workers")
                self._say(f"{self._clock()}  " + ", ".join(f"{self._figures[name]:,} {name}" for name in names))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _drained(self, fed_s: float) -> bool:
        """Waits until everything is done, or for as long after the last kill and the last task as a person allows."""
        give_up_s = max(time.monotonic(), fed_s) + self._settings.timeout_s
        while time.monotonic() < give_up_s:
            f = self._figures
            if f.get("fed") and not any(f.get(state, 1) for state in ("waiting", "delayed", "blocked", "active")):
                return True
            await asyncio.sleep(_LOOK_EVERY_S)
        self._say(f"{self._clock()}  {self._settings.timeout_s:g} s have passed since the last kill: time is up")
        return False

    async def _missing_workers(self, cast: objects.Cast) -> str:
        give_up_s = time.monotonic() + _BACK_WITHIN_S
        while True:  # a container that is killed again and again waits longer each time: that is no failure yet
            try:
                await self._town.wait_ready(self._town.workers_of(cast.queue), cast.workers, _BACK_WITHIN_S)
            except CommandFailed as error:
                if time.monotonic() > give_up_s:
                    return f"workers did not come back: {error.message}"
                await asyncio.sleep(_LOOK_EVERY_S)
            else:
                return ""

    async def _read_journal(self) -> Journal:
        """Raises CommandFailed when it can't be read whole."""
        for _ in range(3):
            size = int(await self._kubectl.execute(objects.COLLECTOR, "collector", "stat", "-c", "%s", objects.JOURNAL))
            text = await self._kubectl.execute(
                objects.COLLECTOR, "collector", "head", "-c", str(size), objects.JOURNAL, timeout_s=_EXAMINE_S
            )
            if len(text) == size:
                return read_journal(text.splitlines())
        raise CommandFailed(f"the collector's journal could not be read whole: {len(text):,} of {size:,} bytes")

    async def _examine(self, cast: objects.Cast, planned: Sequence[str]) -> str:
        command = ("python", "-m", "ferryman.crashtest.cluster", "examine", cast.queue, *planned)
        return await self._kubectl.execute(objects.PRODUCER, "producer", *command, timeout_s=_EXAMINE_S)

    def _clock(self) -> str:
        return f"{time.monotonic() - self._started_s:6.1f} s"
