"""Workflows: tasks that begin when others have ended, and take their results: a chain, a group with a join, or a DAG.

All nodes are tasks of one queue like any other; until what it waits for has ended, a node is `blocked`. The scripts
that end a task move the others on, so a workflow goes on whoever dies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ferryman.durations import Duration
from ferryman.errors import InvalidTask
from ferryman.ids import new_task_id
from ferryman.new_task import Enqueued
from ferryman.producer import Producer
from ferryman.references import Reference
from ferryman.results import Results
from ferryman.sending import WorkItem
from ferryman.task_ref import TaskRef
from ferryman.workflow_plan import (
    OnFailure,
    PlannedNode,
    batches_of,
    check_flow_id,
    check_item,
    check_node_name,
)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A task of a workflow; its id is `<workflow>:<name>`."""

    name: str
    flow: str

    @property
    def id(self) -> str:
        """The task's id."""
        return f"{self.flow}:{self.name}"

    @property
    def result(self) -> Any:
        """Stands for what this node returns, in the arguments of another: `report.task(sent=node.result)`.

        `null` when the node ended otherwise and its failure is ignored.
        """
        return Reference(self.name)


@dataclass(frozen=True, slots=True)
class WorkflowSent:
    """The answer to the enqueue of a workflow. `created` is False when one with this id had been sent before."""

    id: str
    queue: str
    created: bool
    tasks: tuple[Enqueued, ...]
    _producer: Producer = field(repr=False, compare=False)
    _last: tuple[str, ...] = field(default=(), repr=False)
    _fatal: tuple[str, ...] = field(default=(), repr=False)  # nodes whose death holds the others up

    def ref(self, name: str) -> TaskRef[Any]:
        """The task of a node: its result, its cancellation, its record. Raises InvalidTask for what is no name."""
        return TaskRef(f"{self.id}:{check_node_name(name)}", self.created, self._producer, Results(None))

    async def result(self, timeout: Duration | None = None) -> Any:  # noqa: ASYNC109  (a deadline for the answer)
        """The result of the last node, when it has ended; its handler must keep it, with `keep_result=`.

        Raises WorkflowFailed as soon as a node before it is dead, since then it waits for a person; in a workflow with
        compensations TaskDiscarded, for nobody can revive that. Otherwise raises as TaskRef.result does, and
        InvalidTask when several nodes are last.
        """
        return await self.ref(self._the_last()).result_unless_dead(self._before_the_last(), timeout)

    def result_sync(self, timeout: Duration | None = None) -> Any:
        """The same, blocking; for any thread."""
        return self.ref(self._the_last()).result_unless_dead_sync(self._before_the_last(), timeout)

    def _the_last(self) -> str:
        if len(self._last) != 1:
            raise InvalidTask("workflow", f"{len(self._last)} nodes are last; ask for one: .ref(name).result()")
        return self._last[0]

    def _before_the_last(self) -> list[str]:
        return [f"{self.id}:{name}" for name in self._fatal if name not in self._last]


class Workflow:
    """A set of nodes, each of which may wait for others that were added before it. `id` is the idempotency key."""

    def __init__(self, id: str | None = None) -> None:
        self.id: Final = check_flow_id(id if id is not None else new_task_id())
        self._nodes: dict[str, PlannedNode] = {}
        self._producer: Producer | None = None

    def add(
        self,
        item: WorkItem,
        *,
        after: Iterable[Node] = (),
        name: str | None = None,
        on_failure: OnFailure = "fail",
        compensate: WorkItem | None = None,
    ) -> Node:
        """Add a task, such as `send.task(to=…)`, that begins when all of `after`, and all whose results it takes, have
        ended.

        `name` is unique in the workflow; the task's name and a number unless given. `on_failure`: what its death means
        for those that wait for it: "fail", they go on waiting, and end when it is discarded; "ignore", they go on
        without its result. `compensate` is a task that undoes this one, should the workflow fail after that.

        Raises InvalidTask.
        """
        waits_for = [self._own(node).name for node in after] + [
            self._named(one.node)
            for bound in item.binds.values()
            for one in (bound if isinstance(bound, list) else [bound])
        ]
        return self._add(item, tuple(dict.fromkeys(waits_for)), name, on_failure, compensate)

    async def enqueue(self) -> WorkflowSent:
        """Send it: all of it or, if this process dies meanwhile, nothing that would run; the same id completes it.

        Raises as `Handler.enqueue` does.
        """
        producer, batches = self._ready()
        return self._sent(producer, await producer.enqueue_workflow(self.id, batches))

    def enqueue_sync(self) -> WorkflowSent:
        """The same, blocking; for any thread."""
        producer, batches = self._ready()
        return self._sent(producer, producer.enqueue_workflow_sync(self.id, batches))

    def _add(
        self,
        item: WorkItem,
        after: tuple[str, ...],
        name: str | None,
        on_failure: OnFailure,
        compensate: WorkItem | None,
    ) -> Node:
        name = self._free(item.task.name) if name is None else check_node_name(name)
        if name in self._nodes:
            raise InvalidTask("name", f"the workflow has a node {name!r} already; give this one another name=")
        if on_failure not in ("fail", "ignore"):
            raise InvalidTask("on_failure", f"{on_failure!r} is neither 'fail' nor 'ignore'")
        producer = self._producer or item.producer
        if producer is None:
            raise InvalidTask("workflow", f"task {item.task.name!r} was not made by a handler or a queue")
        check_item(item, producer.queue, first=not after)
        if compensate is not None:
            check_item(compensate, producer.queue, first=False)
            if any(
                one.node
                for bound in compensate.binds.values()
                for one in (bound if isinstance(bound, list) else [bound])
            ):
                raise InvalidTask("compensate", "it can take the result of what it undoes, as `previous`, and no other")
        self._producer = producer
        self._nodes[name] = PlannedNode(name, item, after, on_failure, compensate)
        return Node(name, self.id)

    def _ready(self) -> tuple[Producer, list[list[WorkItem]]]:
        batches = batches_of(self.id, list(self._nodes.values()))
        assert self._producer is not None
        return self._producer, batches

    def _sent(self, producer: Producer, replies: Sequence[Enqueued]) -> WorkflowSent:
        waited_for = {before for node in self._nodes.values() for before in node.after}
        last = tuple(name for name in self._nodes if name not in waited_for)
        nodes = self._nodes.values()
        # With compensations the first death ends those that wait, and they tell it themselves.
        is_undone = any(node.compensate is not None for node in nodes)
        fatal = () if is_undone else tuple(node.name for node in nodes if node.on_failure == "fail")
        created = any(reply.created for reply in replies)
        return WorkflowSent(self.id, producer.queue, created, tuple(replies), producer, last, fatal)

    def _own(self, node: Node) -> Node:
        if node.flow != self.id or node.name not in self._nodes:
            raise InvalidTask("after", f"{node!r} is no node of this workflow")
        return node

    def _named(self, name: str) -> str:
        if not name:
            raise InvalidTask(
                "previous", "only the steps of a chain, a join and a compensation have something before them"
            )
        if name not in self._nodes:
            raise InvalidTask("after", f"the result of {name!r} is of no node that was added to this workflow before")
        return name

    def _free(self, task: str) -> str:
        stem = check_node_name(task[:33])
        number = len(self._nodes) + 1
        return f"{stem}-{number}"

    def __repr__(self) -> str:
        return f"<Workflow {self.id}: {len(self._nodes)} nodes>"


class Group(Workflow):
    """Tasks side by side. `then` adds the one that joins them."""

    def then(self, item: WorkItem, *, name: str | None = None, compensate: WorkItem | None = None) -> Group:
        """A task that begins when all of the group have ended; `previous` is there the list of their results."""
        members = tuple(self._nodes)
        binds = {
            parameter: [Reference(member) for member in members] if isinstance(bound, Reference) else bound
            for parameter, bound in item.binds.items()
        }
        self._add(item.with_binds(binds), members, name, "fail", compensate)
        return self


def chain(*items: WorkItem, id: str | None = None) -> Workflow:
    """Tasks one after another: `chain(load.task(url), parse.task(text=previous), save.task(rows=previous))`.

    In each but the first, `previous` stands for the result of the one before. Raises InvalidTask.
    """
    flow, before = Workflow(id), ""
    for item in items:
        binds = {parameter: _of(bound, before, parameter) for parameter, bound in item.binds.items()}
        node = flow._add(item.with_binds(binds), (before,) if before else (), None, "fail", None)
        before = node.name
    return flow


def group(items: Iterable[WorkItem], *, id: str | None = None, on_failure: OnFailure = "fail") -> Group:
    """Tasks side by side, and with `.then(report.task(sent=previous))` one that joins them.

    `on_failure` is what the death of a member means for the join. Raises InvalidTask.
    """
    flow = Group(id)
    for item in items:
        flow.add(item, on_failure=on_failure)
    return flow


def _of(bound: Reference | list[Reference], before: str, parameter: str) -> Reference | list[Reference]:
    if isinstance(bound, list) or bound.node:
        raise InvalidTask(parameter, "in a chain a step takes the result of the one before it, as `previous`")
    if not before:
        raise InvalidTask(parameter, "the first step of a chain has nothing before it")
    return Reference(before)
