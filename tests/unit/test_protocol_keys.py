"""Every key that a call declares is the queue's own, by its hash tag; every script is one method's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.ends import Ends
from ferryman.errors import InvalidTask
from ferryman.inspector import Inspector
from ferryman.keys import MARKER, Keys
from ferryman.manifest import Manifest
from ferryman.new_task import NewTask
from ferryman.policy import Claim, QueuePolicy
from ferryman.protocol import Completion, Step
from ferryman.schedule import Schedule
from ferryman.task import TaskState, check_queue_name, check_task_id
from ferryman.timetable import Timetable
from ferryman.workers import WorkerInfo, WorkerRegistry

T, SCHEDULE = Timetable("emails"), Schedule("beat", "echo", every_ms=1_000)
B, W, P, I = Broker("emails"), WorkerRegistry("emails"), QueuePolicy("emails"), Inspector("emails")  # noqa: E741

E = Ends("emails")

CALLS: list[Call[Any]] = [
    B.enqueue([NewTask("t", "echo", b"{}", unique="k")]),
    B.promote(),
    B.fetch("w", 1, "t"),
    B.complete("w", [Completion("t", 1)]),
    B.retry("w", "t", 1, delay_ms=1),
    B.dead_letter("w", "t", 1, error="no"),
    B.crash("w", "t", 1, reason="SIGKILL"),
    B.requeue("w", [("t", 1)]),
    B.recover("w"),
    B.recover_handed(),
    B.revive(),
    B.discard(TaskState.DEAD),
    B.cancel("t"),
    B.trim(),
    B.expire(),
    B.ask_to_stop("t"),
    E.attend(["t"], "waiter"),
    W.asked_to_stop("w", ["t"]),
    W.progress("w", [Step("t", 1, b"{}")]),
    W.register(WorkerInfo("w", "", "", 1, 1, 1, "", ""), Manifest("app", {})),
    W.beat("w", 1),
    W.unregister("w"),
    W.declare_dead("w", "gone"),
    W.holding("w"),
    W.look(),
    W.hint_gone("w", "gone"),
    W.vouch(["w"], 1),
    W.drain(["w"], 1),
    W.list(),
    P.write({}, 1),
    P.hold(True),
    P.claim(Claim("c", "n", "q", "u"), 1),
    P.release("u"),
    I.stats(),
    I.get("t"),
    I.page(TaskState.WAITING),
    I.held("w"),
    I.dead(),
    T.agree(),
    T.fire(SCHEDULE, 0, 1),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.script)
def test_all_keys_of_a_call_lie_in_the_queues_slot(call: Call[Any]) -> None:
    assert call.keys
    for key in call.keys:
        assert key.startswith("ferryman:{emails}:")


def test_no_task_can_be_called_as_the_marker_is() -> None:
    with pytest.raises(InvalidTask):
        check_task_id(MARKER)


@pytest.mark.parametrize("build", [Broker, WorkerRegistry, QueuePolicy, Inspector, Timetable])
def test_a_queue_name_that_would_break_the_hash_tag_is_refused(build: Callable[[str], Any]) -> None:
    for name in ("", "a}b", "{a}", "Upper", "-a", "a-", "a b", "a" * 64, "a:b"):
        with pytest.raises(InvalidTask):
            build(name)


def test_good_queue_names() -> None:
    for name in ("a", "emails", "a-b.c", "0", "a" * 63):
        assert check_queue_name(name) == name


def test_keys_are_those_of_the_design() -> None:
    keys = Keys("q")
    assert [keys.waiting, keys.handed, keys.active("w"), keys.task + "t", keys.unique + "k"] == [
        "ferryman:{q}:waiting",
        "ferryman:{q}:handed",
        "ferryman:{q}:active:w",
        "ferryman:{q}:task:t",
        "ferryman:{q}:unique:k",
    ]
