"""The crash test on Kubernetes, what of it is pure: schedule, journal, who died when, and how soon it was made good."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import pytest
from click.testing import CliRunner

from ferryman.cli.crash_test import crash_test
from ferryman.crashtest.cluster import kinds, objects
from ferryman.crashtest.cluster.bounds import CRONJOB_S, HEARTBEAT_S, OPERATOR_S, RESTART_S, recoveries, rows
from ferryman.crashtest.cluster.journal import Journal, Life, read_journal
from ferryman.crashtest.cluster.kinds import DEFAULT_KINDS, KINDS
from ferryman.crashtest.cluster.producer import finals_of
from ferryman.crashtest.cluster.schedule import schedule
from ferryman.crashtest.cluster.strikes import Blow, hits, unasked
from ferryman.crashtest.cluster.town import is_ready, restarts, trouble_of
from ferryman.crashtest.execution_log import Ending
from ferryman.crashtest.verdict import LastSeen, judge
from ferryman.task import TaskState

ALL = list(KINDS.values())


def test_the_seed_decides_the_schedule_and_every_kind_has_its_turn() -> None:
    orders = schedule(1, 40, 600_000, ALL)
    assert orders == schedule(1, 40, 600_000, ALL) != schedule(2, 40, 600_000, ALL)
    assert {order.kind for order in orders[: len(ALL)]} == set(KINDS)
    assert [order.at_ms for order in orders] == sorted(order.at_ms for order in orders)


def test_the_kills_fill_the_time() -> None:
    orders = schedule(1, 60, 600_000, [KINDS[name] for name in DEFAULT_KINDS])
    assert 450_000 < orders[-1].at_ms < 750_000


def test_nothing_else_is_killed_beside_a_kind_that_must_be_alone() -> None:
    orders = schedule(5, 30, 60_000, ALL)
    for order, following in pairwise(orders):
        assert following.at_ms > order.at_ms + order.lasts_ms


JOURNAL = """
up w-1 w-1.aa 700 1700.0
start t1 w-1.aa/1/0 1 w-1.aa 1 2000.0
start t1 w-1.aa/1/0 1 w-1.aa 1 2003.0
start t2 w-1.aa/1/1 1 w-1.aa 1 2100.0
accepted t1 1500.0
accepted t2 1501.0
end t1 w-1.aa/1/0 1 w-1.aa 1 2500.0
gone w-1 w-1.aa 3000.0
up w-1 w-1.bb 600 4600.0
start t2 w-1.bb/1/0 1 w-1.bb 1 4800.0
end t2 w-1.bb/1/0 1 w-1.bb 1 5000.0
"""


def test_the_journal_counts_once_what_was_sent_twice() -> None:
    journal = read_journal(JOURNAL.strip().splitlines())
    assert [(one.id, one.start_ms, one.end_ms, one.ending) for one in journal.executions] == [
        ("t1", 2000.0, 2500.0, Ending.END),
        ("t2", 2100.0, None, Ending.CUT),
        ("t2", 4800.0, 5000.0, Ending.END),
    ]
    assert journal.lives == [
        Life("w-1", "w-1.aa", started_ms=1000.0, up_ms=1700.0, gone_ms=3000.0),
        Life("w-1", "w-1.bb", started_ms=4000.0, up_ms=4600.0),
    ]
    assert journal.accepted == {"t1": 1500.0, "t2": 1501.0}
    assert journal.damaged_lines == 0


def test_a_line_that_makes_no_sense_is_counted() -> None:
    lines = ["gone w-9 w-9.zz 1.0", "up w-1 3.0", "start t1 x y z", "", "end t1 r 1 p 1 5.0"]
    assert read_journal(lines).damaged_lines == len(lines)


def test_who_lives_in_a_pod_and_who_follows() -> None:
    journal = read_journal(JOURNAL.strip().splitlines())
    first, second = journal.lives
    assert journal.victim("w-1", 3500.0) == first
    assert journal.victim("w-1", 4700.0) == second
    assert journal.victim("w-1", 1.0) is journal.victim("w-2", 9000.0) is None
    assert journal.successor(first) == second
    assert journal.successor(second) is None


def test_a_kill_explains_what_it_cut_off_and_its_recovery_is_measured_from_the_restart() -> None:
    journal = read_journal(JOURNAL.strip().splitlines())
    found = hits([Blow(1, kinds.CONTAINER_OOM, "w-1", 2600.0, 2990.0)], journal)
    done = {"t1": LastSeen(TaskState.COMPLETED), "t2": LastSeen(TaskState.COMPLETED)}
    verdict = judge(journal.accepted, journal.executions, [hit.strike for hit in found], done, 0)
    assert verdict.kept
    assert [(one.id, one.kills) for one in verdict.repeats] == [("t2", (1,))]
    [recovery] = recoveries(found, journal)
    assert (recovery.in_flight, recovery.bound_s, recovery.over) == (1, RESTART_S, 0)
    assert recovery.from_restart_s == [0.8]
    assert recovery.from_death_s == [1.8]
    assert recovery.from_command_s == [2.2]
    assert list(unasked(found, journal)) == []


STALLED = """
up w-1 w-1.aa 700 1000.0
start t1 w-1.aa/1/0 1 w-1.aa 1 2000.0
end t1 w-1.aa/1/0 1 w-1.aa 1 2500.0
gone w-1 w-1.aa 5000.0
start t1 w-2.bb/1/0 1 w-2.bb 1 6000.0
end t1 w-2.bb/1/0 1 w-2.bb 1 6500.0
"""


@pytest.mark.parametrize(
    ("kind", "unexplained"),
    [
        pytest.param(kinds.CONTAINER_OOM, 0, id="it stands still for seconds when its memory runs out"),
        pytest.param(kinds.POD_FORCE_DELETE, 1, id="it had time to tell that the task had ended"),
    ],
)
def test_what_ended_long_before_the_death_must_have_been_told(kind: str, unexplained: int) -> None:
    journal = read_journal(STALLED.strip().splitlines())
    strikes = [hit.strike for hit in hits([Blow(1, kind, "w-1", 2400.0, 4900.0)], journal)]
    done = {"t1": LastSeen(TaskState.COMPLETED)}
    assert judge({"t1": 0.0}, journal.executions, strikes, done, 0).unexplained == unexplained


DELETED = """
up w-1 w-1.aa 700 1000.0
start t1 w-1.aa/1/0 1 w-1.aa 1 2000.0
stopped t1 w-1.aa/1/0 1 w-1.aa 1 {stopped}
gone w-1 w-1.aa 28000.0
start t1 w-2.bb/1/0 1 w-2.bb 1 29000.0
end t1 w-2.bb/1/0 1 w-2.bb 1 29500.0
"""


@pytest.mark.parametrize(
    ("stopped", "unexplained"),
    [
        pytest.param(27_500, 0, id="at the end of its grace"),
        pytest.param(2_600, 1, id="at once"),
    ],
)
def test_a_pod_that_is_deleted_lets_its_tasks_run_as_long_as_it_may(stopped: float, unexplained: int) -> None:
    journal = read_journal(DELETED.format(stopped=stopped).strip().splitlines())
    strikes = [hit.strike for hit in hits([Blow(1, kinds.POD_DELETE, "w-1", 2400.0, 2900.0)], journal)]
    done = {"t1": LastSeen(TaskState.COMPLETED)}
    assert judge({"t1": 0.0}, journal.executions, strikes, done, 0).unexplained == unexplained


AWAY = """
up w-1 w-1.aa 700 1000.0
start t1 w-1.aa/1/0 1 w-1.aa 1 2000.0
stopped t1 w-1.aa/1/0 1 w-1.aa 1 18000.0
start t1 w-1.aa/1/1 1 w-1.aa 1 {again}
end t1 w-1.aa/1/1 1 w-1.aa 1 40000.0
"""


@pytest.mark.parametrize(
    ("to_ms", "unexplained"),
    [
        pytest.param(30_000.0, 0, id="no worker could keep its promise"),
        pytest.param(9_000.0, 1, id="nobody's promise had run out"),
    ],
)
def test_a_redis_that_forgets_nothing_and_is_away_for_long_costs_all_workers_their_tasks(
    to_ms: float, unexplained: int
) -> None:
    journal = read_journal(AWAY.format(again=to_ms + 3_000).strip().splitlines())
    blow = Blow(1, kinds.REDIS_POD, "redis-0", 2_900.0, to_ms, outage=True)
    strikes = [hit.strike for hit in hits([blow], journal)]
    done = {"t1": LastSeen(TaskState.COMPLETED)}
    assert judge({"t1": 0.0}, journal.executions, strikes, done, 0).unexplained == unexplained


def test_without_a_kill_the_same_is_unexplained() -> None:
    journal = read_journal(JOURNAL.strip().splitlines())
    done = {"t1": LastSeen(TaskState.COMPLETED), "t2": LastSeen(TaskState.COMPLETED)}
    verdict = judge(journal.accepted, journal.executions, [], done, 0)
    assert verdict.unexplained == 1
    assert [life.process for life in unasked([], journal)] == ["w-1.aa"]


def recovery_of(*blows: Blow) -> tuple[float | None, int]:
    """The bound after the first of these blows, and the waits beyond it, for a pod that is gone at 3000.0 and whose
    task starts again at 10000.0."""
    lines = JOURNAL.replace("w-1 w-1.bb", "w-2 w-2.bb").replace("w-1.bb", "w-2.bb").replace("4800.0", "10000.0")
    journal = read_journal(lines.replace("5000.0", "10500.0").strip().splitlines())
    recovery = recoveries(hits(blows, journal), journal)[0]
    return recovery.bound_s, recovery.over


@pytest.mark.parametrize(
    ("kind", "others", "bound", "over"),
    [
        pytest.param(kinds.POD_FORCE_DELETE, [], OPERATOR_S, 1, id="the operator tells"),
        pytest.param(kinds.CONTAINER_OOM, [], OPERATOR_S, 1, id="the pod went before it could restart"),
        pytest.param(kinds.HEARTBEAT_ONLY, [], HEARTBEAT_S, 0, id="only the silence tells"),
        pytest.param(kinds.CRONJOB_ONLY, [], CRONJOB_S, 0, id="only the CronJob is left"),
        pytest.param(
            kinds.POD_FORCE_DELETE,
            [Blow(2, kinds.OPERATOR, "o", 2000.0, 7000.0, rescuer=True)],
            HEARTBEAT_S,
            0,
            id="the operator was killed too",
        ),
        pytest.param(
            kinds.POD_FORCE_DELETE,
            [Blow(2, kinds.OPERATOR, "o", 100.0, 900.0, rescuer=True)],
            OPERATOR_S,
            1,
            id="the operator was back already",
        ),
        pytest.param(
            kinds.POD_FORCE_DELETE,
            [Blow(2, kinds.REDIS, "r", 4000.0, 5000.0, outage=True)],
            None,
            0,
            id="Redis was away",
        ),
    ],
)
def test_the_bound_depends_on_who_is_left(kind: str, others: list[Blow], bound: float | None, over: int) -> None:
    assert recovery_of(Blow(1, kind, "w-1", 2600.0, 2700.0), *others) == (bound, over)


def test_the_table_keeps_apart_what_is_bounded_by_different_rescuers() -> None:
    journal = read_journal(JOURNAL.strip().splitlines())
    blows = [
        Blow(1, kinds.POD_FORCE_DELETE, "w-1", 2600.0, 2700.0),
        Blow(2, kinds.OPERATOR, "o", 9000.0, 9900.0, rescuer=True),
    ]
    table = rows(recoveries(hits(blows, journal), journal))
    assert [(row.kind, row.bound_s, row.times, row.in_flight) for row in table] == [
        (kinds.POD_FORCE_DELETE, OPERATOR_S, 1, 1),
        (kinds.OPERATOR, None, 1, 0),
    ]


def test_a_task_that_died_twice_in_company_waits_to_be_alone_and_has_no_bound() -> None:
    """Each life of the pod starts t2 and dies with it; from the second death on, t2 runs alone."""
    lines = []
    for number, at in enumerate((1_000, 11_000, 41_000)):
        process = f"w-1.{number}"
        lines += [f"up w-1 {process} 100 {at}.0", f"start t2 {process}/1/0 1 {process} 1 {at + 500}.0"]
        lines += [f"gone w-1 {process} {at + 1_000}.0"]
    journal = read_journal(lines)
    blows = [Blow(n + 1, kinds.CONTAINER_OOM, "w-1", at + 900.0, at + 990.0) for n, at in enumerate((1_000, 11_000))]
    first, second = recoveries(hits(blows, journal), journal)
    assert (list(first.from_death_s), list(first.isolated_s)) == ([9.5], [])
    assert (list(second.from_death_s), list(second.isolated_s), second.over) == ([], [29.5], 0)


def test_what_redis_says_of_the_tasks_survives_the_way_through_the_producers_pod() -> None:
    others = {"b": LastSeen(TaskState.DEAD, 3, "e", 1), "c": LastSeen(None)}
    answer = {"others": {name: asdict(seen) for name, seen in others.items()}, "released": {"b": 1, "d": 1}}
    assert finals_of(json.loads(json.dumps(answer)), ["a", "b", "c", "d"]) == {
        "a": LastSeen(TaskState.COMPLETED),
        "b": LastSeen(TaskState.DEAD, 3, "e", 1),
        "d": LastSeen(TaskState.COMPLETED, released=1),
        "c": LastSeen(None),
    }


CAST = objects.Cast(
    namespace="ns",
    queue="q",
    image="worker:1",
    redis_image="redis:1",
    redis_url="redis://r:6379/0",
    appendfsync="always",
    volume=True,
    workers=3,
    concurrency=10,
)


def pod_specs(found: Any) -> Iterator[Mapping[str, Any]]:
    for one in found:
        if one["kind"] == "Pod":
            yield one["spec"]
        elif one["kind"] == "StatefulSet":
            yield one["spec"]["template"]["spec"]


def test_all_pods_pass_the_restricted_pod_security_standard() -> None:
    made = [*objects.redis(CAST), *objects.collector(CAST), *objects.producer(CAST, ["--seed", "1"])]
    specs = list(pod_specs(made))
    assert len(specs) == 3
    for spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all("hostPath" not in volume for volume in spec["volumes"])
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    labels = objects.namespace("ns")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_everything_carries_the_label_by_which_it_is_removed() -> None:
    made = [*objects.redis(CAST), *objects.collector(CAST), *objects.task_queue(CAST), *objects.producer(CAST, [])]
    assert all(objects.LABEL in one["metadata"]["labels"] for one in made)
    assert {one["metadata"]["namespace"] for one in made} == {"ns"}


def pod(*, ready: str = "True", state: dict[str, Any] | None = None, deleted: bool = False) -> dict[str, Any]:
    status = {"image": "x:1", "restartCount": 2, "state": state or {"running": {}}}
    return {
        "metadata": {"name": "p", **({"deletionTimestamp": "now"} if deleted else {})},
        "status": {"conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [status]},
    }


def test_what_kubectl_says_of_a_pod() -> None:
    assert is_ready(pod())
    assert not is_ready(pod(ready="False"))
    assert not is_ready(pod(deleted=True))
    assert not is_ready({"metadata": {"name": "p"}})
    assert restarts(pod()) == 2
    assert trouble_of(pod()) == trouble_of({"metadata": {"name": "p"}}) == ""
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    assert trouble_of(pod(state=waiting)) == "p can't start (x:1): ImagePullBackOff: no such image"
    assert trouble_of(pod(state={"waiting": {"reason": "ContainerCreating"}})) == ""


def test_the_command_explains_both_modes() -> None:
    local = CliRunner().invoke(crash_test, ["--help"]).output
    cluster = CliRunner().invoke(crash_test, ["--kubernetes", "--help"]).output
    assert "--kubernetes" in local
    assert all(kind.does in cluster for kind in ALL)
    refused = CliRunner().invoke(crash_test, ["--kubernetes", "--kinds", "sigkill"])
    assert refused.exit_code == 2
    assert "'sigkill' is none of pod-delete," in refused.output


def test_without_kubectl_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    refused = CliRunner().invoke(crash_test, ["--kubernetes", "--seed", "1"])
    assert refused.exit_code == 1
    assert "kubectl is not on the PATH" in refused.output


def test_an_empty_journal_is_read() -> None:
    assert read_journal([]) == Journal([], [], {}, 0)
