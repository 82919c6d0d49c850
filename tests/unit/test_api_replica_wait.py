"""Waiting for replicas: what may be asked for, where it comes from, and what the answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ferryman import Queue
from ferryman.broker import Broker
from ferryman.durations import Duration
from ferryman.errors import BrokerRefused, BrokerUnavailable, InvalidTask, NotReplicated
from ferryman.new_task import Enqueued, NewTask
from ferryman.replication import ReplicaWait
from ferryman.settings import BadSetting

ENQUEUE = Broker("q").enqueue([NewTask("a", "echo", b"{}"), NewTask("b", "echo", b"{}")])
REPLY = [b"ok", b"a", 1, b"b", 0]


def test_without_a_wait_the_call_is_the_same() -> None:
    assert ReplicaWait.of(0).after(ENQUEUE) is ENQUEUE


def test_the_wait_follows_the_enqueue() -> None:
    call = ReplicaWait.of(2, "250ms").after(ENQUEUE)
    assert (call.script, call.args, call.then) == (ENQUEUE.script, ENQUEUE.args, ("WAIT", 2, 250))
    assert call.read((REPLY, 2)) == [Enqueued("a", True), Enqueued("b", False)]


def test_of_several_enqueues_the_last_goes_by_itself_and_is_waited_for() -> None:
    first, last = ENQUEUE, Broker("other").enqueue([NewTask("c", "echo", b"{}")])
    assert ReplicaWait.of(0).rounds([first, last]) == [[first, last]]
    [[before], [waited]] = ReplicaWait.of(1).rounds([first, last])
    assert (before, waited.args, waited.then) == (first, last.args, ("WAIT", 1, 1000))
    assert ReplicaWait.of(1).rounds([first])[0] == []


@pytest.mark.parametrize(("confirmed", "replicas"), [(1, 1), (0, 0), (BrokerRefused("ERR unknown command"), 0)])
def test_too_few_confirmations_name_what_was_accepted(confirmed: Any, replicas: int) -> None:
    with pytest.raises(NotReplicated, match=r"2 tasks are accepted \(a, b\), but . of 2 replicas") as caught:
        ReplicaWait.of(2).after(ENQUEUE).read((REPLY, confirmed))
    error = caught.value
    assert ([one.id for one in error.accepted], error.replicas, error.wanted) == (["a", "b"], replicas, 2)
    assert ("unknown command" in str(error)) is isinstance(confirmed, BrokerRefused)


def test_a_broken_connection_is_not_an_answer() -> None:
    with pytest.raises(BrokerUnavailable):
        ReplicaWait.of(1).after(ENQUEUE).read((REPLY, BrokerUnavailable("gone")))


@pytest.mark.parametrize(
    ("replicas", "timeout", "option"),
    [
        (-1, "1s", "wait_replicas"),
        (101, "1s", "wait_replicas"),
        (True, "1s", "wait_replicas"),
        ("1", "1s", "wait_replicas"),
        (1, "0s", "wait_replicas_timeout"),
        (1, "5s", "wait_replicas_timeout"),
        (1, "soon", "wait_replicas_timeout"),
    ],
)
def test_what_cannot_be_meant_is_refused(replicas: Any, timeout: Duration, option: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        Queue("q", wait_replicas=replicas, wait_replicas_timeout=timeout)
    assert caught.value.field == option


@pytest.mark.parametrize(
    ("env", "given", "expected"),
    [
        ({}, (None, None), (0, 1000)),
        ({"FERRYMAN_WAIT_REPLICAS": "1"}, (None, None), (1, 1000)),
        ({"FERRYMAN_WAIT_REPLICAS": "1", "FERRYMAN_WAIT_REPLICAS_TIMEOUT": "300ms"}, (None, None), (1, 300)),
        ({"FERRYMAN_WAIT_REPLICAS": "1", "FERRYMAN_WAIT_REPLICAS_TIMEOUT": "300ms"}, (0, "2s"), (0, 2000)),
        ({"FERRYMAN_WAIT_REPLICAS": ""}, (2, None), (2, 1000)),
    ],
)
def test_what_is_given_wins_over_the_environment(
    env: Mapping[str, str], given: tuple[int | None, str | None], expected: tuple[int, int]
) -> None:
    wait = ReplicaWait.from_env(env, *given)
    assert (wait.replicas, wait.timeout_ms) == expected


@pytest.mark.parametrize(
    ("env", "variable"),
    [
        ({"FERRYMAN_WAIT_REPLICAS": "some"}, "FERRYMAN_WAIT_REPLICAS"),
        ({"FERRYMAN_WAIT_REPLICAS": "1000"}, "FERRYMAN_WAIT_REPLICAS"),
        ({"FERRYMAN_WAIT_REPLICAS_TIMEOUT": "1h"}, "FERRYMAN_WAIT_REPLICAS_TIMEOUT"),
    ],
)
def test_a_bad_setting_names_its_variable(env: Mapping[str, str], variable: str) -> None:
    with pytest.raises(BadSetting) as caught:
        ReplicaWait.from_env(env)
    assert caught.value.name == variable
