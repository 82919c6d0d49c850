"""Workflow plan: nodes in the order in which they are sent, with the terms that the scripts read. Pure.

Edges travel with one of their ends, the one that has fewer: so a join of ten thousand and a node that ten thousand wait
for are both written in small pieces. Nothing runs before all is there: what is sent in several batches waits for "@".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from ferryman.errors import InvalidTask
from ferryman.new_task import NewTask
from ferryman.options import TaskOptions
from ferryman.references import Reference
from ferryman.sending import WorkItem
from ferryman.terms import Terms

#: Nodes of one workflow, and what one node may wait for or be waited for by.
MAX_NODES: Final = 10_000
#: Nodes in one script call; one workflow up to this is written at once.
BATCH_NODES: Final = 250
#: And edges. A script stays within milliseconds.
BATCH_EDGES: Final = 1_000
#: Results that others read are kept at least for so long: dead tasks, which a person may revive, are kept for 30 days.
PIN_S: Final = 31 * 86_400.0

OnFailure = Literal["fail", "ignore"]

_FLOW: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_NODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}")


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """A node before it is sent. `after` are names."""

    name: str
    item: WorkItem
    after: tuple[str, ...]
    on_failure: OnFailure
    compensate: WorkItem | None


def check_flow_id(flow: str) -> str:
    """Return `flow`, or raise InvalidTask."""
    if not _FLOW.fullmatch(flow):
        raise InvalidTask("workflow", f"{flow[:100]!r} is not 1 to 80 of A-Z, a-z, 0-9 and '_.-'")
    return flow


def check_node_name(name: str) -> str:
    """Return `name`, or raise InvalidTask."""
    if not _NODE.fullmatch(name):
        raise InvalidTask("name", f"{name[:60]!r} is not 1 to 40 of A-Z, a-z, 0-9 and '_.-'")
    return name


def check_item(item: WorkItem, queue: str, *, first: bool) -> None:
    """Raise InvalidTask for what a node can't have."""
    task = item.task
    terms = _terms_of(item)
    if item.queue != queue:
        raise InvalidTask(
            "workflow",
            f"task {task.name!r} belongs to queue {item.queue!r} and others to {queue!r}: all nodes are in one queue, "
            "for only what lies in one slot of Redis can be written and moved on at once; let a node enqueue the rest",
        )
    if not item.own_id:
        raise InvalidTask("id", f"task {task.name!r}: nodes are named by their workflow, as <workflow>:<node>")
    if task.unique or terms.throttle_ms or terms.debounce_ms:
        raise InvalidTask("unique", f"task {task.name!r}: a node can't be another task that exists already")
    if (task.delay_ms or task.run_at_ms) and not first:
        raise InvalidTask(
            "delay", f"task {task.name!r} begins when what it waits for has ended; only first nodes can wait"
        )


def batches_of(flow: str, nodes: Sequence[PlannedNode]) -> list[list[WorkItem]]:
    """What is sent, call by call. With more than one, the first nodes wait until `start_flow` says that all are there.

    Raises InvalidTask when there are no or too many nodes.
    """
    if not nodes:
        raise InvalidTask("workflow", "it has no nodes; add some")
    if len(nodes) > MAX_NODES:
        raise InvalidTask("workflow", f"{len(nodes)} nodes, the limit is {MAX_NODES}: let nodes stand for many items")
    edges = sum(len(node.after) for node in nodes)
    in_parts = len(nodes) > BATCH_NODES or edges > BATCH_EDGES
    followers: dict[str, int] = defaultdict(int)
    for node in nodes:
        for before in node.after:
            followers[before] += 1
    carried: dict[str, list[str]] = defaultdict(list)  # by a node that others wait for: those edges that it brings
    read = {name for node in nodes for name in _read_by(node)}
    terms: dict[str, Terms] = {}
    for place, node in enumerate(nodes):
        own, waits = [], bool(node.after) or in_parts
        if in_parts and not node.after:
            own.append(f"{flow}:@")
        for before in node.after:
            if followers[before] < len(node.after):
                carried[before].append(f"{flow}:{node.name}")
            else:
                own.append(f"{flow}:{before}")
        terms[node.name] = _terms(flow, node, place, len(nodes), waits, own, in_parts, pinned=node.name in read)
    items = [_item(flow, node, terms[node.name], carried[node.name], node.name in read) for node in nodes]
    weights = [1 + len(terms[node.name].after) + len(carried[node.name]) for node in nodes]
    return _parts(items, weights) if in_parts else [items]


def _parts(items: Sequence[WorkItem], weights: Sequence[int]) -> list[list[WorkItem]]:
    parts: list[list[WorkItem]] = []
    weight = BATCH_EDGES
    for item, own in zip(items, weights, strict=True):
        if weight + own > BATCH_EDGES or len(parts[-1]) == BATCH_NODES:
            parts.append([])
            weight = 0
        parts[-1].append(item)
        weight += own
    return parts


def _read_by(node: PlannedNode) -> list[str]:
    """The nodes whose results this one, or its compensation, takes."""
    own = _names(node.item, lambda reference: reference.node)
    return own + (_names(node.compensate, lambda reference: reference.node or node.name) if node.compensate else [])


def _names(item: WorkItem, name: Callable[[Reference], str]) -> list[str]:
    return [name(one) for bound in item.binds.values() for one in (bound if isinstance(bound, list) else [bound])]


def _terms(
    flow: str, node: PlannedNode, place: int, nodes: int, waits: bool, own: list[str], in_parts: bool, *, pinned: bool
) -> Terms:
    spec: dict[str, object] = {
        "task": node.item.task.name,
        "after": node.after,
        "on_failure": node.on_failure,
        "place": place,
    }
    undo = ""
    if node.compensate is not None:
        task = _bound(flow, node.compensate, node.name)
        spec["compensate"] = task.name
        undo = msgspec.json.encode(
            {"name": task.name, "args": task.args.decode(), "options": task.options.decode()}
        ).decode()
    keep_s = TaskOptions.decode(node.item.task.options).keep_result_s
    return msgspec.structs.replace(
        _terms_of(node.item),
        flow=flow,
        node=node.name,
        nodes=nodes,
        waits=waits,
        after=own,
        ignores=node.on_failure == "ignore",
        undo=undo,
        pin_ms=max(60_000, round(1_000 * (keep_s or 0))) if pinned else 0,
        sending=in_parts,
        spec=msgspec.json.encode(spec).decode(),
    )


def _item(flow: str, node: PlannedNode, terms: Terms, followers: list[str], pinned: bool) -> WorkItem:
    task = _bound(flow, node.item, node.name)
    if pinned:
        options = TaskOptions.decode(task.options)
        kept = msgspec.structs.replace(options, keep_result_s=max(PIN_S, options.keep_result_s or 0.0))
        task = msgspec.structs.replace(task, options=kept.encode())
    terms = msgspec.structs.replace(terms, next=followers)
    task = msgspec.structs.replace(task, id=f"{flow}:{node.name}", terms=terms.encode())
    return msgspec.structs.replace(node.item, task=task, binds={})


def _bound(flow: str, item: WorkItem, before: str) -> NewTask:
    """The task with its references as ids in its options."""
    if not item.binds:
        return item.task
    binds: dict[str, str | list[str]] = {}
    for parameter, bound in item.binds.items():
        if isinstance(bound, list):
            binds[parameter] = [f"{flow}:{one.node or before}" for one in bound]
        else:
            binds[parameter] = f"{flow}:{bound.node or before}"
    options = msgspec.structs.replace(TaskOptions.decode(item.task.options), binds=binds)
    return msgspec.structs.replace(item.task, options=options.encode())


def _terms_of(item: WorkItem) -> Terms:
    return msgspec.json.decode(item.task.terms, type=Terms) if item.task.terms else Terms()
