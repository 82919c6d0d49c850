"""What counts as interrupted: tasks that outlive the grace of a pod that the operator took, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ferryman_operator.interruptions import GIVES_BACK_S, Ending, Interruption, look
from ferryman_operator.pods import Pod, pod_from

KILLED_S = 1_767_225_630.0  # 2026-01-01T00:00:30Z
POD = pod_from(
    {
        "metadata": {
            "namespace": "ns",
            "name": "q-worker-1",
            "uid": "a",
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "deletionTimestamp": "2026-01-01T00:00:30Z",
        }
    }
)


@dataclass(frozen=True)
class Worker:
    active: int
    id: str = "a.worker.1"


def story(*steps: tuple[float, list[Pod], list[Worker]], ours: bool = True) -> list[Interruption]:
    """Looks at these moments, in seconds before the pod is killed; all interruptions."""
    endings: dict[str, Ending] = {}
    found: list[Interruption] = []
    for before_s, pods, workers in steps:
        endings, new = look(endings, pods, workers, ours=ours, now_s=KILLED_S - before_s)
        found += new
    assert endings == {}, "nothing is remembered for ever"
    return found


def test_a_pod_tells_when_its_grace_ends() -> None:
    assert (POD.killed_s, POD.terminating) == (KILLED_S, True)


def test_tasks_that_end_within_the_grace_are_not_interrupted() -> None:
    assert story((30, [POD], [Worker(3)]), (20, [POD], [Worker(1)]), (10, [POD], []), (9, [], [])) == []


def test_tasks_that_go_back_when_the_grace_is_over_are() -> None:
    last = GIVES_BACK_S - 1
    found = story((30, [POD], [Worker(3)]), (7, [POD], [Worker(2)]), (last, [POD], [Worker(0)]), (1, [], []))
    assert found == [Interruption("q-worker-1", 2)]


def test_tasks_of_a_worker_that_was_killed_count_when_they_are_recovered() -> None:
    assert story((30, [POD], [Worker(2)]), (0, [], [Worker(2)]), (-5, [], [])) == [Interruption("q-worker-1", 2)]


def test_what_kubernetes_announced_or_a_person_deleted_is_not_the_operators_doing() -> None:
    steps = (30.0, [POD], [Worker(2)]), (1.0, [POD], [Worker(0)]), (0.0, list[Pod](), list[Worker]())
    assert story(*steps, ours=False) == []
    drained = replace(POD, disrupted=True)
    assert story((30, [drained], [Worker(2)]), (1, [drained], [Worker(0)]), (0, [], [])) == []


def test_other_pods_and_workers_do_not_matter() -> None:
    alive = replace(POD, uid="b", terminating=False)
    assert story((30, [POD, alive], [Worker(0), Worker(5, "b.worker.1")]), (0, [alive], [])) == []
