"""A workflow as it stands: its nodes with their states, for `ferryman workflow`, `show` and the HTTP API.

The JSON is a stable contract: fields are added, never renamed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ferryman.call import Call, command
from ferryman.keys import Keys
from ferryman.plan import Plan
from ferryman.task_view import moment

_AT_ONCE: Final = 200

#: A node that has these ends holds nobody up any more.
_ENDED: Final = ("completed", "discarded")


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node. `state` is its task's, or its last end when that is not kept any more."""

    name: str
    id: str
    task: str
    state: str
    after: tuple[str, ...]
    on_failure: str = "fail"
    compensate: str = ""
    undoes: str = ""  # of a compensation: the node that it undoes
    place: int = 0  # among those that were added


@dataclass(frozen=True, slots=True)
class WorkflowView:
    """A workflow. `nodes` in the order in which they were added, compensations last."""

    id: str
    queue: str
    state: str
    created_ms: int
    expected: int  # nodes in all; fewer are here while it is being sent
    nodes: tuple[NodeView, ...]

    def node(self, task_id: str) -> NodeView | None:
        """The node with this id."""
        return next((node for node in self.nodes if node.id == task_id), None)

    def followers(self, name: str) -> list[NodeView]:
        """Those that wait for this node."""
        return [node for node in self.nodes if name in node.after]

    def to_json_dict(self) -> dict[str, Any]:
        """All of it."""
        return {
            "id": self.id,
            "queue": self.queue,
            "state": self.state,
            "created_at": moment(self.created_ms),
            "nodes": [
                {
                    "name": node.name,
                    "id": node.id,
                    "task": node.task,
                    "state": node.state,
                    "after": list(node.after),
                    "on_failure": node.on_failure,
                    "compensate": node.compensate or None,
                    "undoes": node.undoes or None,
                }
                for node in self.nodes
            ],
        }


def workflow_of(queue: str, flow: str) -> Plan[WorkflowView | None]:
    """The workflow, or None when it is not known: never sent, or its end is longer ago than the retention."""
    keys = Keys(queue)
    [fields] = yield [command("HGETALL", keys.flow(flow), read=_fields)]
    if not fields:
        return None
    names = [field[2:] for field in fields if field.startswith("n:")]
    states: list[str | None] = []
    for start in range(0, len(names), _AT_ONCE):
        states += yield [_state_of(keys, flow, name) for name in names[start : start + _AT_ONCE]]
    nodes = [_node(flow, fields, name, state) for name, state in zip(names, states, strict=True)]
    nodes.sort(key=lambda node: (bool(node.undoes), node.place))
    return WorkflowView(
        id=flow,
        queue=queue,
        state=_state(fields, nodes),
        created_ms=int(fields.get("created_ms", "0")),
        expected=int(fields.get("nodes", "0")),
        nodes=tuple(nodes),
    )


def _state_of(keys: Keys, flow: str, name: str) -> Call[str | None]:
    return command(
        *("HGET", f"{keys.task}{flow}:{name}", "state"), read=lambda reply: None if reply is None else reply.decode()
    )


def _fields(reply: Any) -> dict[str, str]:
    pairs = reply.items() if isinstance(reply, Mapping) else zip(reply[::2], reply[1::2], strict=True)
    return {name.decode(): value.decode("utf-8", "replace") for name, value in pairs}


def _node(flow: str, fields: Mapping[str, str], name: str, state: str | None) -> NodeView:
    try:
        spec = msgspec.json.decode(fields[f"n:{name}"], type=dict[str, Any])
    except msgspec.MsgspecError:
        spec = {}  # a look at damaged data must not fail
    return NodeView(
        name=name,
        id=f"{flow}:{name}",
        task=str(spec.get("task", "")),
        state=state or fields.get(f"s:{name}", "unknown"),
        after=tuple(spec.get("after", ())),
        on_failure=str(spec.get("on_failure", "fail")),
        compensate=str(spec.get("compensate", "")),
        undoes=str(spec.get("undoes", "")),
        place=int(spec.get("place", 0)),
    )


def _state(fields: Mapping[str, str], nodes: Sequence[NodeView]) -> str:
    """sending, running, failed (a node that others wait for is dead), undoing, undone, completed or discarded."""
    if "abandoned" in fields:
        return "discarded"
    if len([node for node in nodes if not node.undoes]) < int(fields.get("nodes", "0")):
        return "sending"
    if "failed" in fields:
        ended = all(node.state in _ENDED or (node.state == "dead" and not node.undoes) for node in nodes)
        return "undone" if ended else "undoing"
    if any(node.state == "dead" and node.on_failure == "fail" for node in nodes):
        return "failed"
    if any(node.state not in (*_ENDED, "dead") for node in nodes):
        return "running"
    stopped = any(node.state == "discarded" and node.on_failure == "fail" for node in nodes)
    return "discarded" if stopped else "completed"
