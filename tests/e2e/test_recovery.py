"""The last layer of recovery: when everything else is down, a Job made from the CronJob brings the tasks back."""

import time

import pytest
from ferryman_e2e.scene_queue import SceneQueue, name_of
from ferryman_e2e.system import System
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(600)]  # stops the operator


def test_a_job_from_the_cronjob_recovers_while_scheduler_and_operator_are_down(
    queue: SceneQueue, system: System
) -> None:
    # The schedule is once a year: only the Job of this scene can be the one that recovers.
    queue.create(
        worker={"concurrency": 2},
        scaling={"minReplicas": 2, "maxReplicas": 2},
        crashes={"workerTimeout": "5s"},
        recovery={"schedule": "0 0 1 1 *"},
    )
    pods = queue.wait_workers(2)
    ids = queue.post("work", {"seconds": 20}, count=4)
    queue.wait_figures("all slots are busy", lambda f: f["active"] == 4)

    # The operator would start the scheduler again, so it has to go first.
    system.stop_operator()
    [scheduler] = queue.kubectl.list("deployments", "app.kubernetes.io/component=scheduler")
    queue.kubectl.scale(f"deployment/{name_of(scheduler)}", 0)
    until(
        "no scheduler runs",
        lambda: queue.kubectl.list("pods", "app.kubernetes.io/component=scheduler"),
        lambda found: not found,
        timeout_s=30,
    )

    # A pod that is deleted by force has no successor in its place: nobody but a recoverer can take its tasks.
    victim = pods[0]
    queue.kubectl.run("delete", "pod", name_of(victim), "--force", "--grace-period=0")
    uid = victim["metadata"]["uid"]
    survivor_ids = {t["id"] for t in queue.records(ids) if not str(t["worker"]).startswith(uid)}
    lost_ids = set(ids) - survivor_ids

    def recovered() -> int:
        return int(queue.figures()["recovered"])

    # The survivor and the successor are alive, the victim is registered and silent past its promise.
    queue.wait_figures("the victim is silent", lambda f: (f["workers"], len(f["worker_list"])) == (2, 3), timeout_s=40)
    assert recovered() == 0
    queue.kubectl.run("create", "job", "by-hand", f"--from=cronjob/{queue.name}-recovery")
    started = time.monotonic()
    until("the Job recovered the tasks", recovered, lambda n: n == len(lost_ids), timeout_s=50)
    print(f"the Job recovered {len(lost_ids)} tasks in {time.monotonic() - started:.1f} s")
    queue.kubectl.run("wait", "--for=condition=complete", "job/by-hand", "--timeout=60s")

    queue.wait_completed(4, timeout_s=90)
    assert {task["state"] for task in queue.records(ids)} == {"completed"}
    assert {t["id"] for t in queue.records(ids) if t["deliveries"] > 1} == lost_ids
