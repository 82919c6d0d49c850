"""Plan: which tasks a crash test enqueues and what it kills when. Pure: the same seed and options, the same plan."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ferryman.crashtest.app import IN_LOOP, IN_PROCESS, IN_THREAD

#: Kills follow each other after 0.4 to 1.6 times this.
MEAN_GAP_MS: Final = 1_500

#: A worker that was killed is left in peace for this long, so that it can come back and take tasks.
RESPITE_MS: Final = 2_500

#: Divisible by the number of variants of any kind.
DICE_SIDES: Final = 12

#: One task in so many stands in a lane, and so many in each lane, so that lanes are busy and none takes for ever.
_LANED: Final = 0.1
_IN_A_LANE: Final = 50
_FEWEST_LANES: Final = 2

#: Of each workflow.
FLOW_NODES: Final = 5

_FIRST_KILL_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """`fails` is how many attempts raise before one ends well."""

    id: str
    name: str
    ms: float
    fails: int
    delay_ms: int
    priority: int
    lane: str = ""


@dataclass(frozen=True, slots=True)
class PlannedFlow:
    """A workflow: a chain, or a group with a join. `nodes` in their order, each with the ids that it waits for."""

    id: str
    nodes: tuple[tuple[PlannedTask, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Work:
    """All that is enqueued by an id that is known before."""

    tasks: Sequence[PlannedTask]
    flows: Sequence[PlannedFlow]

    @property
    def all(self) -> list[PlannedTask]:
        """The nodes of the workflows, too."""
        return [*self.tasks, *(task for flow in self.flows for task, _ in flow.nodes)]

    @property
    def ids(self) -> list[str]:
        """Of all of them."""
        return [task.id for task in self.all]

    @property
    def joins(self) -> dict[str, tuple[str, ...]]:
        """Id of each node that waits for others -> those."""
        return {task.id: after for flow in self.flows for task, after in flow.nodes if after}

    @property
    def lanes(self) -> dict[str, str]:
        """Id of each task in a lane -> its lane."""
        return {task.id: task.lane for task in self.all if task.lane}


@dataclass(frozen=True, slots=True)
class KindOfKill:
    """What the plan must know of a kind: whether it hits a worker, and how long it lasts (ms, from and to)."""

    name: str
    hits_worker: bool
    shortest_ms: int = 0
    longest_ms: int = 0
    #: The victim does nothing for as long as it lasts, so only half of the workers may have it at a time.
    idles: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """One kill, as planned. `victim` is the index of a worker, or 0; `dice` chooses among a kind's variants."""

    number: int
    at_ms: int
    kind: str
    victim: int
    lasts_ms: int
    dice: int = 0


def plan_tasks(seed: int, count: int, task_ms: float) -> list[PlannedTask]:
    """`count` tasks that take about `task_ms`, some much longer; a few are delayed, fail once,
    have a priority or stand in a lane."""
    chance = random.Random(f"{seed} tasks")  # noqa: S311  (no secret)
    turns = random.Random(f"{seed} lanes")  # noqa: S311  (no secret)
    lanes = max(_FEWEST_LANES, round(count * _LANED / _IN_A_LANE))
    tasks = []
    for number in range(count):
        factor = chance.choices((0.1, 0.5, 1.0, 2.0, 10.0), (20, 28, 30, 20, 2))[0]
        tasks.append(
            PlannedTask(
                id=f"t{number:07d}",
                name=chance.choices((IN_LOOP, IN_THREAD, IN_PROCESS), (75, 20, 5))[0],
                ms=round(task_ms * factor, 3),
                fails=int(chance.random() < 0.05),
                delay_ms=chance.randint(500, 5_000) if chance.random() < 0.05 else 0,
                priority=chance.choice((-1, 1, 5)) if chance.random() < 0.05 else 0,
                lane=f"lane-{turns.randrange(lanes)}" if turns.random() < _LANED else "",
            )
        )
    return tasks


def plan_flows(seed: int, tasks: int, task_ms: float) -> list[PlannedFlow]:
    """As many workflows of five nodes as make up a tenth of so many tasks: chains, and groups of four with a join."""
    count = tasks // (10 * FLOW_NODES)
    nodes = plan_tasks(seed, count * FLOW_NODES, task_ms)
    flows = []
    for number in range(count):
        flow = f"f{number:06d}"
        own = [
            replace(task, id=f"{flow}:n{place}", delay_ms=0)
            for place, task in enumerate(nodes[number * FLOW_NODES : (number + 1) * FLOW_NODES])
        ]
        ids = tuple(task.id for task in own)
        is_chain = number % 2 == 0
        after = [ids[max(0, place - 1) : place] if is_chain else () for place in range(FLOW_NODES - 1)]
        after.append(ids[-2:-1] if is_chain else ids[:-1])
        flows.append(PlannedFlow(flow, tuple(zip(own, after, strict=True))))
    return flows


def plan_work(seed: int, count: int, task_ms: float) -> Work:
    """`count` tasks, a tenth of them in workflows."""
    flows = plan_flows(seed, count, task_ms)
    return Work(plan_tasks(seed, count - sum(len(flow.nodes) for flow in flows), task_ms), flows)


def plan_kills(seed: int, count: int, workers: int, kinds: Sequence[KindOfKill]) -> list[Order]:
    """`count` kills in the order of their times. Every kind has its turn before one comes again, as far as there is
    a worker to hit: one that was just hit is left in peace, and at most half of them are idle at a time."""
    chance = random.Random(f"{seed} kills")  # noqa: S311  (no secret)
    free_at_ms = [0] * workers
    idle_until_ms: list[int] = []
    orders: list[Order] = []
    bag: list[KindOfKill] = []
    at_ms = _FIRST_KILL_MS
    while len(orders) < count:
        if not bag:
            bag = chance.sample(kinds, len(kinds))
        idle_until_ms = [until for until in idle_until_ms if until > at_ms]
        free = [index for index, until in enumerate(free_at_ms) if until <= at_ms]
        may_idle = len(idle_until_ms) < max(1, workers // 2)
        kind = next((k for k in bag if not k.hits_worker or (free and (may_idle or not k.idles))), None)
        if kind is None:
            blocked = [until for until in (*free_at_ms, *idle_until_ms) if until > at_ms]
            at_ms = min(blocked)
            continue
        bag.remove(kind)
        victim = chance.choice(free) if kind.hits_worker else 0
        lasts_ms = chance.randint(kind.shortest_ms, kind.longest_ms)
        orders.append(Order(len(orders) + 1, at_ms, kind.name, victim, lasts_ms, chance.randrange(DICE_SIDES)))
        if kind.hits_worker:
            free_at_ms[victim] = at_ms + lasts_ms + RESPITE_MS
        if kind.idles:
            idle_until_ms.append(at_ms + lasts_ms)
        at_ms += round(MEAN_GAP_MS * chance.uniform(0.4, 1.6))
    return orders


def last_ms(orders: Sequence[Order]) -> int:
    """When the last kill is over."""
    return max((order.at_ms + order.lasts_ms for order in orders), default=0)
