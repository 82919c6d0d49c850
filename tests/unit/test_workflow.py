"""Workflows as their users see them: chains, groups with a join, DAGs, what failures do, and results that flow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ferryman import (
    InvalidTask,
    Node,
    Queue,
    TaskDiscarded,
    TaskState,
    Workflow,
    WorkflowFailed,
    chain,
    group,
    pools,
    previous,
)
from ferryman.broker import Broker
from ferryman.call import command
from ferryman.keys import Keys
from ferryman.testing import Tester

jobs = Queue("jobs")
ran: list[str] = []


@jobs.task
def load(url: str) -> str:
    ran.append(f"load {url}")
    return url.upper()


@jobs.task
def join_up(texts: list[str | None], sep: str = "+") -> str:
    ran.append(f"join {texts}")
    return sep.join(text or "-" for text in texts)


@jobs.task(max_attempts=1)
def fail(why: str = "on purpose") -> str:
    ran.append("fail")
    raise ValueError(why)


broken = True


@jobs.task(max_attempts=1)
def mend() -> str:
    if broken:
        raise ValueError("not yet")
    return "mended"


@jobs.task
def note(text: str | None = None) -> None:
    ran.append(f"note {text}")


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def refusals(flow: Workflow, node: Node) -> list[tuple[Callable[[], object], str]]:
    """(what can't be, a word of the reason)."""
    elsewhere = Queue("other").task(name="elsewhere")(load.function)
    return [
        (lambda: flow.add(elsewhere.task("b")), "one queue"),
        (lambda: flow.add(load.options(id="x").task("b")), "id"),
        (lambda: flow.add(load.options(unique="x").task("b")), "unique"),
        (lambda: flow.add(load.options(delay="1s").task("b"), after=[node]), "delay"),
        (lambda: flow.add(load.task("b"), name="a b"), "name"),
        (lambda: flow.add(load.task("b"), name=node.name), "already"),
        (lambda: flow.add(load.task("b"), after=[Node("a", "g")]), "no node of this workflow"),
        (lambda: flow.add(note.task(previous)), "previous"),
        (lambda: flow.add(load.task("b"), on_failure="retry"), "on_failure"),  # type: ignore[arg-type]
        (lambda: Workflow("a:b"), "workflow"),
        (lambda: chain(note.task(previous)), "first step"),
        (lambda: join_up.task(["x", node.result]), "list"),
        (lambda: join_up.task(node.result, sep=1), "sep"),  # type: ignore[arg-type]
        (lambda: join_up.task(node.result, nope=node.result), "nope"),  # type: ignore[call-arg]
        (lambda: Workflow().enqueue_sync(), "no nodes"),
        (lambda: load.enqueue_sync(node.result), "only a workflow"),
    ]


def in_state(ferryman: Tester, state: TaskState) -> list[str]:
    return [task.id.partition(":")[2] for task in ferryman.enqueued() if task.state is state]


async def test_in_a_chain_each_step_takes_the_result_of_the_one_before(ferryman: Tester) -> None:
    sent = await chain(load.task("a"), join_up.task([], sep=""), note.task(text=previous)).enqueue()
    assert sent.created
    assert (ferryman.stats(jobs).waiting, ferryman.stats(jobs).blocked) == (1, 2)
    await ferryman.run_until_idle()
    assert ran == ["load a", "join []", "note "]
    assert ferryman.stats(jobs).unaccounted == 0


async def test_a_join_takes_the_results_of_its_group_in_order(ferryman: Tester) -> None:
    flow = group((load.task(url) for url in "abc"), id="letters").then(join_up.task(previous, sep=""), name="all")
    sent = await flow.enqueue()
    assert [task.id for task in sent.tasks] == ["letters:load-1", "letters:load-2", "letters:load-3", "letters:all"]
    await ferryman.run_until_idle()
    assert ran == ["load a", "load b", "load c", "join ['A', 'B', 'C']"]


async def test_a_node_waits_for_all_that_it_comes_after(ferryman: Tester) -> None:
    flow = Workflow("dag")
    first = flow.add(load.task("x"), name="first")
    left = flow.add(load.task(first.result), name="left")
    right = flow.add(load.task("y"), after=[first], name="right")
    flow.add(join_up.task([right.result, left.result]), name="end")
    await flow.enqueue()
    await ferryman.run_until_idle()
    assert ran == ["load x", "load X", "load y", "join ['Y', 'X']"]


async def test_who_waits_for_a_dead_task_goes_on_when_it_is_revived(ferryman: Tester) -> None:
    flow = Workflow("f")
    failed = flow.add(fail.task(), name="fails")
    flow.add(note.task("after"), after=[failed], name="after")
    await flow.enqueue()
    await ferryman.run_until_idle()
    assert (in_state(ferryman, TaskState.DEAD), in_state(ferryman, TaskState.BLOCKED)) == (["fails"], ["after"])
    assert ran == ["fail"]


def mending() -> Workflow:
    """Two side by side, and a third after them; one of the two dies."""
    return group([load.task("a"), mend.task()], id="m").then(join_up.options(keep_result="1h").task(previous))


DEAD = (
    "m:mend-2 of jobs: is dead, and m:join_up-3 waits for it; `ferryman revive jobs m:mend-2` .*: ValueError: not yet"
)


async def test_who_waits_for_a_workflow_is_told_of_a_death_that_holds_it_up(ferryman: Tester) -> None:
    sent = await mending().enqueue()
    waiting = asyncio.create_task(sent.result(timeout="1m"))
    key = Keys("jobs").awaiting + "m:mend-2"
    async with asyncio.timeout(30):
        while not await pools.link_for(None).run(command("SCARD", key, read=int)):
            await asyncio.sleep(0)
    await ferryman.run_until_idle()
    with pytest.raises(WorkflowFailed, match=DEAD) as failed:
        await waiting
    assert (failed.value.task_id, failed.value.waiting) == ("m:mend-2", "m:join_up-3")


async def test_who_comes_after_the_death_is_told_at_once_and_can_wait_again_when_it_is_revived(
    ferryman: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = await mending().enqueue()
    await ferryman.run_until_idle()
    with pytest.raises(WorkflowFailed, match=DEAD):
        await sent.result(timeout="1m")
    with pytest.raises(WorkflowFailed, match=DEAD):
        await asyncio.to_thread(sent.result_sync, "1m")

    monkeypatch.setattr(f"{__name__}.broken", False)
    await pools.link_for(None).run(Broker("jobs").revive(["m:mend-2"]))
    waiting = asyncio.create_task(sent.result(timeout="1m"))
    await ferryman.run_until_idle()
    assert await waiting == "A+mended"


async def test_the_deaths_in_a_large_workflow_are_watched_too(ferryman: Tester) -> None:
    members = [*(load.options(delay="1h").task(str(n)) for n in range(600)), fail.task()]
    sent = await group(members).then(join_up.options(keep_result="1h").task(previous)).enqueue()
    waiting = asyncio.create_task(sent.result(timeout="1m"))
    ferryman.advance("1s")
    await ferryman.run_until_idle()
    with pytest.raises(WorkflowFailed, match="on purpose"):
        await waiting


async def test_a_death_that_holds_nobody_up_is_no_failure_of_the_workflow(ferryman: Tester) -> None:
    kept = join_up.options(keep_result="1h")
    sent = await group([load.task("a"), fail.task()], on_failure="ignore").then(kept.task(previous)).enqueue()
    waiting = asyncio.create_task(sent.result(timeout="1m"))
    await ferryman.run_until_idle()
    assert await waiting == "A+-"


async def test_of_a_workflow_that_is_undone_the_last_node_is_discarded(ferryman: Tester) -> None:
    flow = Workflow()
    first = flow.add(load.task("a"), compensate=note.task("undo"))
    second = flow.add(fail.task(), after=[first])
    flow.add(join_up.options(keep_result="1h").task([]), after=[second])
    sent = await flow.enqueue()
    waiting = asyncio.create_task(sent.result(timeout="1m"))
    await ferryman.run_until_idle()
    with pytest.raises(TaskDiscarded):
        await waiting


async def test_a_failure_that_is_ignored_leaves_no_result_and_stops_nobody(ferryman: Tester) -> None:
    await group([load.task("a"), fail.task()], on_failure="ignore").then(join_up.task(previous)).enqueue()
    await ferryman.run_until_idle()
    assert ran == ["load a", "fail", "join ['A', None]"]


async def test_what_has_completed_is_undone_in_reverse_order_when_the_workflow_fails(ferryman: Tester) -> None:
    flow = Workflow("saga")
    first = flow.add(load.task("a"), name="a", compensate=note.task(previous))
    second = flow.add(load.task("b"), name="b", after=[first], compensate=note.task("undo b"))
    third = flow.add(fail.task(), name="c", after=[second])
    flow.add(load.task("d"), name="d", after=[third])
    await flow.enqueue()
    await ferryman.run_until_idle()
    assert ran == ["load a", "load b", "fail", "note undo b", "note A"]
    assert in_state(ferryman, TaskState.DISCARDED) == ["d"]
    assert ferryman.stats(jobs).unaccounted == 0


async def test_compensations_are_seen_as_everything_that_is_enqueued(ferryman: Tester) -> None:
    flow = Workflow("saga")
    first = flow.add(load.task("a"), name="a", compensate=note.task(previous))
    second = flow.add(load.task("b"), name="b", after=[first], compensate=note.task("undo b"))
    flow.add(fail.task(), name="c", after=[second])
    await flow.enqueue()
    assert ferryman.enqueued(note) == []
    await ferryman.run_until_idle()
    assert [task.id for task in ferryman.enqueued()] == [
        *("saga:a", "saga:b", "saga:c"),
        *("saga:undo:b", "saga:undo:a"),
    ]
    undone = ferryman.completed(note)
    assert [task.args for task in undone] == [{"text": "undo b"}, {"text": "A"}]
    assert undone[0].called_with("undo b")
    assert undone[1].called_with(previous)


async def test_a_compensation_that_nobody_has_run_yet_is_seen_too(ferryman: Tester) -> None:
    flow = Workflow("saga")
    flow.add(load.task("a"), name="a", compensate=note.task("undo a"))
    flow.add(load.options(delay="1h").task("b"), name="b")
    sent = await flow.enqueue()
    await ferryman.run_until_idle()
    assert ferryman.enqueued(note) == []
    await sent.ref("b").cancel()
    [undo] = ferryman.enqueued(note)
    assert (undo.id, undo.state) == ("saga:undo:a", TaskState.WAITING)


async def test_what_takes_the_result_of_another_is_seen_without_it_and_then_with_it(ferryman: Tester) -> None:
    flow = Workflow("letters")
    a, b = flow.add(load.task("a"), name="a"), flow.add(load.task("b"), name="b")
    flow.add(join_up.task([a.result, b.result], sep=""), name="all")
    await flow.enqueue()
    [joined] = ferryman.enqueued(join_up)
    assert joined.args == {"sep": ""}
    assert joined.called_with([a.result, b.result], sep="")
    assert not joined.called_with([a.result, b.result])
    assert not joined.called_with(["A", "B"], sep="")

    await ferryman.run_until_idle()
    [joined] = ferryman.enqueued(join_up)
    assert joined.args == {"texts": ["A", "B"], "sep": ""}
    assert joined.called_with([a.result, b.result], sep="")
    assert joined.called_with(["A", "B"], sep="")
    assert not joined.called_with(["B", "A"], sep="")


async def test_sent_again_under_the_same_id_a_workflow_is_the_same(ferryman: Tester) -> None:
    for created in (True, False):
        sent = await chain(load.task("a"), note.task(previous), id="once").enqueue()
        assert sent.created is created
        await ferryman.run_until_idle()
    assert ran == ["load a", "note A"]


async def test_a_large_group_is_sent_in_parts_and_joined_once(ferryman: Tester) -> None:
    flow = group((load.task(str(n)) for n in range(700)), id="many").then(join_up.task(previous, sep=","), name="all")
    await flow.enqueue()
    assert ferryman.stats(jobs).blocked == 1 + 700 - 100  # the rest is the scheduler's
    await ferryman.run_until_idle()
    while ferryman.stats(jobs).blocked:
        ferryman.advance("1s")
        await ferryman.run_until_idle()
    assert ran[-1] == f"join {[str(n) for n in range(700)]}"
    assert ran.count(ran[-1]) == 1
    assert ferryman.stats(jobs).completed == 701


def test_a_workflow_says_what_it_can_t_be() -> None:
    flow = Workflow("f")
    node = flow.add(load.task("a"))
    for call, word in refusals(flow, node):
        with pytest.raises(InvalidTask, match=word):
            call()
