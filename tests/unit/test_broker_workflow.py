"""Workflows in Redis: who is released when, once, in bounded steps, whatever is sent again, dies or is discarded."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import pytest
from ferryman_bench import Bench

from ferryman.call import command
from ferryman.new_task import NewTask
from ferryman.plan import run_plan_async
from ferryman.protocol import Completion, kept_result
from ferryman.queue import Queue
from ferryman.sending import WorkItem
from ferryman.task import TaskState
from ferryman.terms import Terms
from ferryman.workflow import Workflow
from ferryman.workflow_plan import OnFailure, PlannedNode, batches_of
from ferryman.workflow_view import WorkflowView, workflow_of

QUEUE = Queue("bench")


def node(name: str, *after: str, on_failure: OnFailure = "fail", undo: str = "", keep: bool = False) -> PlannedNode:
    item = QUEUE.named("work", {"name": name}, keep_result="1h" if keep else None)
    return PlannedNode(name, item, after, on_failure, QUEUE.named(undo) if undo else None)


async def send(bench: Bench, flow: str, nodes: Sequence[PlannedNode]) -> list[list[WorkItem]]:
    """All batches, and the start."""
    parts = batches_of(flow, nodes)
    for part in parts:
        await bench.run(bench.broker.enqueue([item.task for item in part]))
    if len(parts) > 1:
        assert await bench.run(bench.broker.start_flow(flow)) == "started"
    return parts


async def run_one(bench: Bench, id: str, *, dies: bool = False) -> None:
    """The waiting task with this id, by a worker that takes nothing else."""
    for delivery in await bench.fetch("w", 1_000):
        if delivery.id != id:
            await bench.run(bench.broker.requeue("w", [(delivery.id, delivery.token)]))
        elif dies:
            await bench.run(bench.broker.dead_letter("w", id, delivery.token, error="no"))
        else:
            await bench.run(bench.broker.complete("w", [Completion(id, delivery.token)]))


async def run_all(bench: Bench) -> list[str]:
    """Everything that comes to waiting, in steps as small as the scheduler's; the names in the order of their runs."""
    ran = []
    while True:
        held = await bench.fetch("w", 100)
        ran += [delivery.id.partition(":")[2] for delivery in held]
        await bench.run(bench.broker.complete("w", [Completion(d.id, d.token) for d in held]))
        moved = await bench.run(bench.broker.advance(50))
        if not held and not moved.left and not moved.steps:
            return ran


async def states(bench: Bench, flow: str, names: Iterable[str]) -> dict[str, str | None]:
    tasks = [await bench.run(bench.inspector.get(f"{flow}:{name}")) for name in names]
    return {name: task.state.value if task else None for name, task in zip(names, tasks, strict=True)}


async def view(bench: Bench, flow: str) -> WorkflowView:
    found = await run_plan_async(bench.link, workflow_of(bench.name, flow))
    assert found is not None
    return found


@pytest.fixture(autouse=True)
async def a_worker(bench: Bench) -> None:
    await bench.register("w")


async def test_a_join_is_released_once_however_often_the_end_of_a_node_is_told(bench: Bench) -> None:
    await send(bench, "f", [node("a"), node("b"), node("join", "a", "b")])
    held = await bench.fetch("w", 10)
    assert [d.id for d in held] == ["f:a", "f:b"]
    done = [Completion(d.id, d.token) for d in held]
    for batch in (done[:1], done[:1], done, done):
        await bench.run(bench.broker.complete("w", batch))
    [joined] = await bench.fetch("w", 10)
    task = await bench.run(bench.inspector.get(joined.id))
    assert task is not None
    assert (joined.id, task.released) == ("f:join", 1)
    assert (await bench.stats()).unaccounted == 0


async def test_nothing_of_a_workflow_runs_before_all_of_it_is_there(bench: Bench) -> None:
    nodes = [node(f"n{n}") for n in range(300)] + [node("join", *(f"n{n}" for n in range(300)))]
    parts = batches_of("f", nodes)
    assert [len(part) for part in parts] == [250, 51]
    await bench.run(bench.broker.enqueue([item.task for item in parts[0]]))
    assert await bench.run(bench.broker.start_flow("f")) == "partial"
    assert (await bench.stats()).waiting == 0
    assert (await view(bench, "f")).state == "sending"
    for part in parts:  # somebody sends it again, from the beginning
        await bench.run(bench.broker.enqueue([item.task for item in part]))
    assert await bench.run(bench.broker.start_flow("f")) == "started"
    assert await bench.run(bench.broker.start_flow("f")) == "started"
    ran = await run_all(bench)
    assert sorted(ran) == sorted(n.name for n in nodes)
    assert ran[-1] == "join"
    stats = await bench.stats()
    assert (stats.enqueued, stats.completed, stats.blocked, stats.unaccounted) == (301, 301, 0, 0)


async def test_a_workflow_that_was_left_half_sent_is_discarded(bench: Bench) -> None:
    nodes = [node("first"), *(node(f"n{n}", "first", on_failure="ignore") for n in range(300)), node("last", "n1")]
    [part, *_] = batches_of("f", nodes)
    await bench.run(bench.broker.enqueue([item.task for item in part]))
    await bench.clock.advance(599_000)
    assert (await bench.run(bench.broker.advance())).abandoned == 0
    await bench.clock.advance(2_000)
    assert (await bench.run(bench.broker.advance())).abandoned == 1
    assert await run_all(bench) == []
    stats = await bench.stats()
    assert (stats.blocked, stats.discarded, stats.unaccounted) == (0, 250, 0)
    await bench.run(bench.broker.enqueue([item.task for item in part]))
    assert (await bench.stats()).enqueued == 250, "its producer comes back too late"
    assert await bench.run(bench.broker.start_flow("f")) == "discarded"


async def test_many_who_wait_for_one_are_released_in_bounded_steps(bench: Bench) -> None:
    names = [f"n{n}" for n in range(700)]
    await send(bench, "f", [node("one"), *(node(name, "one") for name in names)])
    await run_one(bench, "f:one")
    assert (await bench.stats()).waiting == 100
    assert (await bench.run(bench.broker.advance(200))).left == 1
    assert 250 <= (await bench.stats()).waiting <= 300
    assert sorted(await run_all(bench)) == sorted(names)


async def test_what_waits_for_a_dead_node_goes_on_after_its_revival_and_ends_with_its_discard(bench: Bench) -> None:
    for flow in ("revived", "discarded"):
        await send(bench, flow, [node("a"), node("b", "a"), node("c", "b")])
        await run_one(bench, f"{flow}:a", dies=True)
        assert await states(bench, flow, "abc") == {"a": "dead", "b": "blocked", "c": "blocked"}
        assert (await view(bench, flow)).state == "failed"
    await bench.run(bench.broker.revive(["revived:a"]))
    await bench.run(bench.broker.discard(TaskState.DEAD))
    assert await states(bench, "discarded", "abc") == {"a": None, "b": "discarded", "c": "discarded"}
    assert (await view(bench, "discarded")).state == "discarded"
    assert await run_all(bench) == ["a", "b", "c"]
    assert (await view(bench, "revived")).state == "completed"
    assert (await bench.stats()).unaccounted == 0


async def test_when_the_retention_of_a_dead_node_is_over_what_waits_for_it_ends(bench: Bench) -> None:
    await send(bench, "f", [node("a"), node("b", "a")])
    await run_one(bench, "f:a", dies=True)
    await bench.run(bench.policy.write({"dead_ms": 1_000}, 1))
    await bench.clock.advance(2_000)
    await bench.run(bench.broker.trim())
    assert await states(bench, "f", "ab") == {"a": None, "b": "discarded"}
    assert (await bench.stats()).unaccounted == 0


async def test_a_cancelled_node_takes_along_what_waits_for_it_unless_its_failure_is_ignored(bench: Bench) -> None:
    await send(
        bench, "f", [node("a"), node("b", "a"), node("c", "b"), node("d", "a", on_failure="ignore"), node("e", "d")]
    )
    for name in "bd":
        assert await bench.run(bench.broker.cancel(f"f:{name}")) == "discarded"
    assert await states(bench, "f", "abcde") == {
        "a": "waiting", "b": None, "c": "discarded", "d": None, "e": "waiting",
    }  # fmt: skip
    await run_all(bench)
    assert (await bench.stats()).unaccounted == 0


async def test_compensations_run_in_reverse_order_one_at_a_time(bench: Bench) -> None:
    nodes = [
        node("a", undo="ua"),
        node("b", "a", undo="ub"),
        node("slow", "a", undo="us"),
        node("c", "b"),
        node("d", "c"),
    ]
    await send(bench, "f", nodes)
    await run_one(bench, "f:a")
    await run_one(bench, "f:b")
    slow = next(d for d in await bench.fetch("w", 10) if d.id == "f:slow")
    await bench.run(bench.broker.requeue("w", [("f:c", 1)]))
    await run_one(bench, "f:c", dies=True)
    assert (await view(bench, "f")).state == "undoing"
    assert await states(bench, "f", ["c", "d", "undo:b", "undo:a"]) == {
        "c": "dead", "d": "discarded", "undo:b": "waiting", "undo:a": None,
    }  # fmt: skip
    await bench.run(bench.broker.complete("w", [Completion(slow.id, slow.token)]))  # it completes too late
    assert await run_all(bench) == ["undo:b", "undo:slow", "undo:a"]
    assert (await view(bench, "f")).state == "undone"
    stats = await bench.stats()
    assert (stats.enqueued, stats.unaccounted, stats.blocked) == (8, 0, 0)


async def test_a_compensation_that_dies_holds_the_others_up_until_it_is_revived(bench: Bench) -> None:
    await send(bench, "f", [node("a", undo="ua"), node("b", "a", undo="ub"), node("c", "b")])
    for name in "ab":
        await run_one(bench, f"f:{name}")
    await run_one(bench, "f:c", dies=True)
    await run_one(bench, "f:undo:b", dies=True)
    assert (await bench.stats()).waiting == 0
    await bench.run(bench.broker.revive(["f:undo:b"]))
    assert await run_all(bench) == ["undo:b", "undo:a"]


async def test_what_was_kept_for_a_workflow_goes_after_it(bench: Bench) -> None:
    await send(bench, "f", _with_result())
    [first] = await bench.fetch("w", 1)
    result = kept_result(31 * 86_400_000, b'"r"')
    await bench.run(bench.broker.complete("w", [Completion(first.id, first.token, 1, result)]))
    ttl = command("PTTL", bench.keys.result + "f:a", read=int)
    assert await bench.run(ttl) > 30 * 86_400_000, "somebody waits for it"
    await run_all(bench)
    assert await bench.run(ttl) <= 3_600_000
    kept = await bench.run(command("KEYS", f"{bench.keys.root}*", read=list))
    of_flow = [key.decode() for key in kept if b"flow" in key or b"waits:" in key or b"next:" in key]
    assert of_flow == [bench.keys.flow("f")]
    assert 0 < await bench.run(command("PTTL", bench.keys.flow("f"), read=int)) <= 3_600_000


def _with_result() -> list[PlannedNode]:
    from ferryman.references import Reference

    reader = QUEUE.named("work", {}).with_binds({"text": Reference("a")})
    return [node("a", keep=True), PlannedNode("b", reader, ("a",), "fail", None)]


async def test_a_task_that_is_no_node_knows_nothing_of_workflows(bench: Bench) -> None:
    await bench.run(bench.broker.enqueue([NewTask("plain", "work", b"{}")]))
    async with bench.changes() as changed:
        [held] = await bench.fetch("w", 1)
        await bench.run(bench.broker.complete("w", [Completion(held.id, held.token)]))
    assert not [key for key in changed if "flow" in key or "waits" in key or "next" in key]


@pytest.mark.parametrize("seed", range(25))
async def test_any_dag_ends_as_its_rules_say_whatever_fails_and_is_sent_twice(bench: Bench, seed: int) -> None:
    chance = random.Random(seed)
    nodes: list[PlannedNode] = []
    for number in range(chance.randint(2, 14)):
        names = [one.name for one in nodes]
        after = chance.sample(names, min(len(names), chance.choice((0, 1, 1, 2, 3))))
        nodes.append(node(f"n{number}", *after, on_failure=chance.choice(("fail", "ignore"))))
    fates = {one.name: chance.choices(("completes", "dies", "is cancelled"), (6, 2, 1))[0] for one in nodes}
    await send(bench, "f", nodes)
    await send(bench, "f", nodes)  # a lost reply
    ran: list[str] = []
    while (await bench.stats()).waiting:
        for delivery in await bench.fetch("w", chance.randint(1, 4)):
            name = delivery.id.partition(":")[2]
            token = [delivery.id, delivery.token]
            if fates[name] == "is cancelled":
                await bench.run(bench.broker.requeue("w", [(delivery.id, delivery.token)]))
                await bench.run(bench.broker.cancel(delivery.id))
                continue
            ran.append(name)
            for _ in range(chance.choice((1, 2))):
                if fates[name] == "completes":
                    await bench.run(bench.broker.complete("w", [Completion(delivery.id, delivery.token)]))
                else:
                    await bench.run(bench.broker.dead_letter("w", delivery.id, delivery.token, error=str(token)))
        await bench.run(bench.broker.advance(chance.randint(1, 5)))
    expected = _ends(nodes, fates)
    found = await view(bench, "f")
    assert {one.name: one.state for one in found.nodes} == expected
    assert sorted(ran) == sorted(name for name, state in expected.items() if state in ("completed", "dead"))
    stats = await bench.stats()
    assert (stats.unaccounted, stats.blocked) == (0, list(expected.values()).count("blocked"))
    await bench.run(bench.broker.revive())
    await run_all(bench)
    stats = await bench.stats()
    assert (stats.blocked, stats.waiting, stats.active, stats.unaccounted) == (0, 0, 0, 0)
    released = [await bench.run(bench.inspector.get(f"f:{one.name}")) for one in nodes if one.after]
    assert {task.released for task in released if task and task.state is TaskState.COMPLETED} <= {1}


def _ends(nodes: Sequence[PlannedNode], fates: Mapping[str, str]) -> dict[str, str]:
    """What becomes of each: the rules of docs/workflows.md."""
    ends: dict[str, str] = {}
    ignored = {one.name for one in nodes if one.on_failure == "ignore"}
    for one in nodes:
        if any(ends[before] == "discarded" and before not in ignored for before in one.after):
            ends[one.name] = "discarded"
        elif any(
            ends[before] == "blocked" or (ends[before] == "dead" and before not in ignored) for before in one.after
        ):
            ends[one.name] = "blocked"
        else:
            ends[one.name] = {"completes": "completed", "dies": "dead", "is cancelled": "discarded"}[fates[one.name]]
    return ends


def test_a_plan_writes_edges_with_the_end_that_has_fewer() -> None:
    flow = Workflow("f")
    first = flow.add(QUEUE.named("work"), name="first")
    middle = [flow.add(QUEUE.named("work"), name=f"m{n}", after=[first]) for n in range(2_000)]
    flow.add(QUEUE.named("work"), name="last", after=middle)
    parts = batches_of("f", list(flow._nodes.values()))
    terms = [msgspec.json.decode(item.task.terms, type=Terms) for part in parts for item in part]
    assert max(len(one.after) + len(one.next) for one in terms) == 2
    assert all(len(part) <= 250 for part in parts)
