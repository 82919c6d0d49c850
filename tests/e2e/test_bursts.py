"""Bursts and changing loads on real pods: straight to the final size, everything done, nobody interrupted."""

import math
import time
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack
from datetime import datetime

import pytest
from ferryman_e2e.operator_metrics import OperatorMetrics
from ferryman_e2e.replica_log import ReplicaLog, turns
from ferryman_e2e.scene_queue import SceneQueue, name_of
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(900)]  # measures seconds, and loads the machine

#: From the post to the final number of workers in the Deployment.
_DECIDED_S = 2.0


@pytest.fixture
def watch() -> Iterator[Callable[[SceneQueue], ReplicaLog]]:
    """Begins to watch the worker Deployment of a queue."""
    with ExitStack() as opened:

        def begin(queue: SceneQueue) -> ReplicaLog:
            log = ReplicaLog(queue.kubectl, f"{queue.name}-worker")
            opened.callback(log.close)
            return log

        yield begin


def _burst(
    queue: SceneQueue, log: ReplicaLog, seconds: float, count: int, final: Container[int]
) -> tuple[float, float]:
    """Posts; asserts a first step to `final` in time and that all is done. Seconds to the step and to the end."""
    before = queue.figures()["completed"]
    assert log.seen[-1].replicas == 0
    posted_s = time.monotonic()
    queue.post("work", {"seconds": seconds}, count=count)
    queue.wait_completed(before + count, timeout_s=120)
    done_s = time.monotonic() - posted_s
    changes = [one for one in log.since(posted_s) if one.replicas > 0]
    assert changes[0].replicas in final, f"not the right size: {changes}"
    decided_s = changes[0].at_s - posted_s
    assert decided_s <= _DECIDED_S, f"decided after {decided_s:.1f} s"
    return decided_s, done_s


def _starts(queue: SceneQueue) -> dict[str, float]:
    """When each pod began its first task (epoch)."""
    starts: dict[str, float] = {}
    for entry in queue.journal():
        if entry.event == "begin":
            starts[entry.pod] = min(entry.at_s, starts.get(entry.pod, entry.at_s))
    return starts


@pytest.mark.long
def test_a_burst_of_2000_tasks_brings_20_workers_in_one_step(
    queue: SceneQueue, watch: Callable[[SceneQueue], ReplicaLog], operator_metrics: OperatorMetrics
) -> None:
    resources = {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "256Mi"}}
    queue.create(worker={"concurrency": 10, "resources": resources}, scaling={"maxReplicas": 20, "cooldown": "5s"})
    queue.wait_ready()
    log = watch(queue)
    posted_at_s = time.time()  # before the post, by the clock of a node on this machine
    decided_s, done_s = _burst(queue, log, 1, 2000, [20])
    starts_s = sorted(at_s - posted_at_s for at_s in _starts(queue).values())
    print(
        f"2,000 tasks of 1 s: 20 workers wanted after {decided_s:.1f} s, all done after {done_s:.1f} s;"
        f" {len(starts_s)} workers began their first task after {starts_s[0]:.1f} to {starts_s[-1]:.1f} s,"
        f" after {sum(starts_s) / len(starts_s):.1f} s in the mean"
    )
    until("back to zero", queue.replicas, lambda n: n == 0, timeout_s=60)
    assert log.steps()[:2] == [0, 20]
    assert turns(log.steps()) == 1, log.steps()
    assert len(set(queue.begun())) == 2000
    assert operator_metrics.interrupted(queue.name) == 0
    print(*queue.events(), sep="\n")


@pytest.mark.parametrize("bursts", [1, pytest.param(5, marks=pytest.mark.long)])
def test_bursts_of_short_tasks_from_zero_do_not_flap(
    queue: SceneQueue, watch: Callable[[SceneQueue], ReplicaLog], operator_metrics: OperatorMetrics, bursts: int
) -> None:
    queue.create(worker={"concurrency": 10}, scaling={"maxReplicas": 10, "targetLatency": "5s", "cooldown": "5s"})
    queue.wait_ready()
    log = watch(queue)
    queue.post("work", {"seconds": 0.1}, count=50)  # from here on it is known how long one takes
    queue.wait_completed(50)
    until("zero", queue.replicas, lambda n: n == 0, timeout_s=40)
    for burst in range(bursts):
        begun = len(log.steps()) - 1
        # 100 s of work in 5 s on 10 slots each, and what else a run takes on a busy machine.
        decided_s, done_s = _burst(queue, log, 0.1, 1000, range(2, 6))
        until("back to zero", lambda: log.steps()[-1], lambda n: n == 0, timeout_s=60)
        steps = log.steps()[begun:]
        print(f"burst {burst + 1}: {steps} after {decided_s:.1f} s, done after {done_s:.1f} s")
        assert turns(steps) == 1, "up once and down once"
        if bursts > 1:
            # On a machine that is too busy tasks get slow, and then more workers are right. Long scenes have it alone.
            assert steps[1] == max(steps), "the final size in one step"
    figures = queue.figures()
    assert (figures["recovered"], figures["dead"], figures["unaccounted"]) == (0, 0, 0)
    assert operator_metrics.interrupted(queue.name) == 0


@pytest.mark.long
def test_three_minutes_of_a_changing_load_interrupt_nobody(
    queue: SceneQueue, watch: Callable[[SceneQueue], ReplicaLog], operator_metrics: OperatorMetrics
) -> None:
    """A day in three minutes: two waves, a spike on top, and a few long tasks all the time."""
    queue.create(worker={"concurrency": 5}, scaling={"maxReplicas": 8, "targetLatency": "2s", "cooldown": "6s"})
    queue.wait_ready()
    log = watch(queue)
    ids: list[str] = []
    began_s = time.monotonic()
    while (elapsed_s := time.monotonic() - began_s) < 180:
        wave = round(20 * (1 + math.sin(2 * math.pi * elapsed_s / 90)))
        spike = 100 if 120 <= elapsed_s < 122 else 0
        ids += queue.post("work", {"seconds": 0.3}, count=1 + wave + spike)
        if round(elapsed_s) % 10 < 2:
            ids += queue.post("work", {"seconds": 12})
        time.sleep(max(0.0, 2 - (time.monotonic() - began_s - elapsed_s)))
    queue.wait_completed(len(ids), timeout_s=60)
    until("back to zero", queue.replicas, lambda n: n == 0, timeout_s=60)
    steps = log.steps()
    print(f"{len(ids)} tasks; workers {steps}; {turns(steps)} turns")
    assert max(steps) >= 2
    assert sorted(queue.begun()) == sorted(ids), "each began once"
    assert operator_metrics.interrupted(queue.name) == 0
    figures = queue.figures()
    assert (figures["recovered"], figures["dead"], figures["unaccounted"]) == (0, 0, 0)
    print(*queue.events(), sep="\n")


def test_tasks_of_a_worker_that_ran_out_of_memory_run_again_and_the_blame_is_its_own(queue: SceneQueue) -> None:
    limits = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    queue.create(worker={"concurrency": 1, "resources": limits}, scaling={"minReplicas": 2, "maxReplicas": 2})
    queue.wait_workers(2)
    [pill] = queue.post("devour")
    queue.wait_figures("it runs", lambda f: f["active"] == 1)
    until("its worker died", lambda: queue.records([pill])[0]["crashes"], lambda n: n == 1, timeout_s=40)
    queue.wait_completed(1, timeout_s=20)
    # It has run again by now; the kubelet's word may come later, and gets into the evidence all the same.
    record = until(
        "the evidence says of what it died",
        lambda: queue.records([pill])[0],
        lambda record: "OOMKilled" in str(record["evidence"]),
        timeout_s=10,
    )
    print(record["evidence"])
    assert (record["state"], record["crashes"], record["attempt"]) == ("completed", 1, 0)
    [event] = [one for one in queue.events() if one.startswith("WorkerEnded")]
    assert "OOMKilled, exit code 137; it held 1 task" in event
    first, second = [entry for entry in queue.journal() if entry.id == pill and entry.event == "begin"]
    pods = {name_of(pod): pod for pod in queue.pods()}
    assert {first.pod, second.pod} <= pods.keys(), "no pod was replaced"
    ended = pods[first.pod]["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert ended["reason"] == "OOMKilled"
    # The kubelet tells whole seconds, so it is up to one less.
    again_s = second.at_s - datetime.fromisoformat(ended["finishedAt"]).timestamp()
    print(f"ran again {again_s:.1f} s after its worker was killed for memory")
    assert again_s <= 5.0 + 1.0
