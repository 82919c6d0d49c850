"""RedisDurable: the verdict on what a Redis says of itself, the condition, and what Ready and the metric make of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ferryman_operator.autoscaler import Decision, Reason
from ferryman_operator.backlog import Unmeasured, unmeasured
from ferryman_operator.conditions import Findings, conditions
from ferryman_operator.metrics import Metrics
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import World

from ferryman import scripts
from ferryman.durability import Durability, judge
from ferryman.errors import BrokerRefused, BrokerUnavailable

MEMORY = {"maxmemory": 268435456, "maxmemory_policy": "noeviction"}
PERSISTENCE = {"aof_enabled": 1, "aof_last_write_status": "ok", "aof_last_bgrewrite_status": "ok"}
REPLICATION = {"role": "master", "connected_slaves": 0}
FORBIDDEN = BrokerRefused("Redis at r:6379/0: NOPERM this user has no permissions to run the 'info' command")


@pytest.mark.parametrize(
    ("replies", "durable", "reason", "says"),
    [
        pytest.param([MEMORY, PERSISTENCE, REPLICATION], True, "AppendOnly", "no replica", id="AOF, noeviction"),
        pytest.param(
            [MEMORY, PERSISTENCE, REPLICATION | {"connected_slaves": 2, "min_slaves_good_slaves": 1}],
            True,
            "AppendOnly",
            "2 replicas, 1 in step",
            id="replicas are told",
        ),
        pytest.param(
            [MEMORY, PERSISTENCE | {"aof_last_bgrewrite_status": "err"}, REPLICATION],
            True,
            "AppendOnly",
            "rewrite of the append-only file failed",
            id="a failed rewrite loses nothing",
        ),
        *(
            pytest.param(
                [MEMORY | {"maxmemory_policy": f"volatile-{kind}"}, PERSISTENCE, REPLICATION],
                True,
                "AppendOnly",
                f"volatile-{kind} evicts no task",
                id=f"volatile-{kind} finds nothing to evict",
            )
            for kind in ("lru", "lfu", "random", "ttl")
        ),
        *(
            pytest.param(
                [MEMORY | {"maxmemory_policy": policy}, PERSISTENCE, REPLICATION],
                False,
                "Evicts",
                f"when it reaches its maxmemory (maxmemory-policy {policy}); set it to noeviction",
                id=f"{policy} throws tasks away",
            )
            for policy in ("allkeys-lru", "allkeys-lfu", "allkeys-random", "a-policy-of-the-future")
        ),
        pytest.param(
            [{"maxmemory": 0, "maxmemory_policy": "allkeys-lru"}, PERSISTENCE, REPLICATION],
            False,
            "Evicts",
            "as soon as it is given a maxmemory",
            id="no maxmemory yet",
        ),
        pytest.param(
            [MEMORY, PERSISTENCE | {"aof_enabled": 0}, REPLICATION],
            False,
            "NoAppendOnlyFile",
            "a restart of Redis loses tasks",
            id="no AOF",
        ),
        pytest.param(
            [MEMORY, {"aof_enabled": 0}, REPLICATION | {"connected_slaves": 1}],
            False,
            "NoAppendOnlyFile",
            "1 replica may take over, but replication is asynchronous",
            id="no AOF but a replica",
        ),
        pytest.param(
            [MEMORY, PERSISTENCE | {"aof_last_write_status": "err"}, REPLICATION],
            False,
            "WriteErrors",
            "cannot write its append-only file",
            id="the disk is full",
        ),
        pytest.param([FORBIDDEN] * 3, None, "InfoRefused", "NOPERM", id="INFO is forbidden"),
        pytest.param(
            [{}, PERSISTENCE, REPLICATION], None, "InfoIncomplete", "no maxmemory_policy", id="no policy told"
        ),
        pytest.param([MEMORY, {}, {}], None, "InfoIncomplete", "no aof_enabled", id="a service without AOF fields"),
        pytest.param([{}, {}, {}], None, "InfoIncomplete", "no maxmemory_policy, aof_enabled", id="nothing told"),
        pytest.param(
            [MEMORY, {"aof_enabled": "maybe"}, {}], None, "InfoIncomplete", "no aof_enabled", id="nonsense is not told"
        ),
        pytest.param(
            [{"maxmemory_policy": "allkeys-lru"}, FORBIDDEN, FORBIDDEN],
            False,
            "Evicts",
            "",
            id="bad news needs no more",
        ),
        pytest.param([FORBIDDEN, {"aof_enabled": 0}, {}], False, "NoAppendOnlyFile", "", id="bad news needs no policy"),
    ],
)
def test_a_redis_is_judged_by_what_it_says(replies: list[Any], durable: bool | None, reason: str, says: str) -> None:
    found = judge(replies)
    assert (found.durable, found.reason) == (durable, reason)
    assert says in found.message


NOT_LOOKED_AT: Any = None
GOOD = Findings(
    generation=4,
    durability=judge([MEMORY, PERSISTENCE, REPLICATION]),
    policy_written=True,
    decision=Decision(1, Reason.FLOOR, "because", NOT_LOOKED_AT),
)
EVICTS = judge([MEMORY | {"maxmemory_policy": "allkeys-lru"}, PERSISTENCE, REPLICATION])
FORGETS = judge([MEMORY, {"aof_enabled": 0}, REPLICATION])


@pytest.mark.parametrize(
    ("found", "durable", "ready"),
    [
        pytest.param(GOOD, "True AppendOnly", "True Ready", id="durable"),
        pytest.param(replace(GOOD, durability=FORGETS), "False NoAppendOnlyFile", "True Ready", id="told, not refused"),
        pytest.param(replace(GOOD, durability=EVICTS), "False Evicts", "False RedisEvicts", id="refused"),
        pytest.param(
            replace(GOOD, durability=judge([FORBIDDEN] * 3)), "Unknown InfoRefused", "True Ready", id="not told"
        ),
        pytest.param(
            replace(GOOD, durability=None, unmeasured=Unmeasured("Timeout", "no answer")),
            "Unknown NotAsked",
            "False Timeout",
            id="Redis is away",
        ),
        pytest.param(
            replace(GOOD, durability=EVICTS, claimed_by="k/ns/other"),
            "False Evicts",
            "False QueueClaimed",
            id="claimed",
        ),
    ],
)
def test_the_condition_and_what_ready_makes_of_it(found: Findings, durable: str, ready: str) -> None:
    said = {one["type"]: f"{one['status']} {one['reason']}" for one in conditions(found)}
    assert (said["RedisDurable"], said["Ready"]) == (durable, ready)


def test_a_queue_whose_redis_evicts_is_scaled_on() -> None:
    said = {one["type"]: one["status"] for one in conditions(replace(GOOD, durability=EVICTS))}
    assert said["ScalingActive"] == "True", "to stop its workers would only fill its Redis sooner"


@pytest.mark.parametrize(
    ("durability", "sample"),
    [
        (GOOD.durability, 'ferryman_queue_redis_durable{queue="q",queue_namespace="ns"} 1.0'),
        (EVICTS, 'ferryman_queue_redis_durable{queue="q",queue_namespace="ns"} 0.0'),
        (judge([FORBIDDEN] * 3), None),
        (None, None),
    ],
)
def test_the_metric_is_1_or_0_and_absent_when_nobody_knows(durability: Durability | None, sample: str | None) -> None:
    spec = {"redis": {"url": "redis://r:6379/0"}, "worker": {"image": "acme:1", "app": "acme.tasks"}}
    tracked = Tracked.of({"metadata": {"uid": "u", "namespace": "ns", "name": "q", "generation": 1}, "spec": spec})
    tracked.durability = durability
    lines = Metrics({"u": tracked}, World()).text().decode().splitlines()
    assert [line for line in lines if line.startswith("ferryman_queue_redis_durable")] == ([sample] if sample else [])


def test_no_key_that_tasks_need_has_a_time_to_live_so_that_volatile_policies_lose_none() -> None:
    """These may go early: a kept result, a throttle's mark, a rate's window, a workflow's view, a reply to a waiter."""
    allowed = {"result", "throttle", "starts", "flow", "told"}
    limited = re.compile(r"'(P?EXPIRE\w*|P?SETEX|GETEX|HP?EXPIRE\w*|HSETEX|RESTORE|PX|EX|PXAT|EXAT)'")
    found: set[str] = set()
    texts = [path.read_text(encoding="utf-8") for path in Path(scripts.__file__).parent.rglob("*.lua")]
    assert len(texts) > 10
    for text in texts:
        for line in filter(limited.search, text.splitlines()):
            key = re.search(r"p?call\('\w+', ([^,]+),", line)
            assert key, line
            named = re.search(rf"local (?:\w+, )*{key[1]}(?:, \w+)* = .*", text) if key[1].isidentifier() else None
            found |= set(re.findall(r"'(\w+):'", named[0] if named else key[1])) - {"places"}
    assert found == allowed


def test_a_redis_that_takes_no_writes_is_named_as_such() -> None:
    error = BrokerUnavailable("Redis at r:6379/0 takes no writes now: NOREPLICAS Not enough good replicas to write.")
    assert unmeasured(error, 2.0).reason == "WritesRefused"
