"""Workflows as their users see them: chains, groups with a join, DAGs, what failures do, and results that flow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ferryman import InvalidTask, Node, Queue, TaskState, Workflow, chain, group, previous
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
