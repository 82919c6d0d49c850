"""What Kubernetes refuses at `kubectl apply`, and what it cannot see: a Secret that is not there yet."""

import re
from typing import Any

import pytest
from ferryman_e2e.kubectl import Kubectl, Refused
from ferryman_e2e.scene_queue import REDIS_URL, SceneQueue

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# What is wrong, the sections that say so, and what the refusal must contain.
_BAD: dict[str, tuple[dict[str, Any], str]] = {
    "min above max": ({"scaling": {"minReplicas": 5, "maxReplicas": 2}}, r"scaling\.minReplicas.*must not be above"),
    "unknown field": ({"scaling": {"maxReplica": 5}}, r'unknown field "spec\.scaling\.maxReplica"'),
    "negative concurrency": ({"worker": {"concurrency": -1}}, r"spec\.worker\.concurrency.*greater than or equal to 1"),
    "no image": ({"worker": {"image": None}}, r"spec\.worker\.image: Required value"),
    "no Redis": ({"redis": {"url": None}}, r"spec\.redis.*set exactly one of url and secretRef"),
    "a password in the object": ({"redis": {"url": "redis://:secret@host:6379/0"}}, r"spec\.redis\.url.*Secret"),
    "a duration that is none": ({"scaling": {"cooldown": "soon"}}, r"spec\.scaling\.cooldown"),
    "a word that is none": ({"stopPolicy": "Paused"}, r'spec\.stopPolicy: Unsupported value: "Paused"'),
    "a limit of none": (
        {"scaling": {"maxAddedPerMinute": 0}},
        r"spec\.scaling\.maxAddedPerMinute.*greater than or equal",
    ),
    "a variable without a name": (
        {"worker": {"env": [{"value": "x"}]}},
        r"spec\.worker\.env\[0\]\.name: Required value",
    ),
    "half a list of modules": (
        {"worker": {"app": "acme.mail,"}},
        r"spec\.worker\.app.*several are separated by commas",
    ),
    "a deletion that is none": ({"deletionPolicy": "Orphan"}, r'spec\.deletionPolicy: Unsupported value: "Orphan"'),
    "a target of zero": ({"scaling": {"targetLatency": "0s"}}, r"spec\.scaling\.targetLatency must be above 0s"),
}


@pytest.mark.parametrize("wrong", _BAD)
def test_a_bad_spec_is_refused_with_a_sentence_that_names_the_field(installed: Kubectl, wrong: str) -> None:
    sections, sentence = _BAD[wrong]
    queue = SceneQueue(installed.within("default"), None, "never-made")  # type: ignore[arg-type]
    with pytest.raises(Refused) as refusal:
        queue.kubectl.apply(queue.manifest(**sections))
    print(refusal.value)
    assert re.search(sentence, str(refusal.value), re.DOTALL)
    assert queue.live() == {}


def test_the_name_is_too_long_for_its_children(installed: Kubectl) -> None:
    queue = SceneQueue(installed.within("default"), None, "n" * 44)  # type: ignore[arg-type]
    with pytest.raises(Refused, match=r"metadata\.name must be at most 43"):
        queue.kubectl.apply(queue.manifest())


def test_the_queue_of_a_taskqueue_never_changes(queue: SceneQueue) -> None:
    queue.kubectl.apply(queue.manifest())
    with pytest.raises(Refused, match=r"spec\.queue is immutable"):
        queue.kubectl.apply(queue.manifest(queue="another"))


def test_a_missing_secret_is_named_and_heals_when_it_appears(queue: SceneQueue) -> None:
    queue.create(redis={"url": None, "secretRef": {"name": "late"}}, scaling={"minReplicas": 1})
    condition = queue.wait_condition("Ready", "False", timeout_s=30)
    print(f"{condition['reason']}: {condition['message']}")
    assert "late" in condition["message"]
    assert condition["reason"] not in ("", "Unknown")

    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late"}, "stringData": {"url": REDIS_URL}}
    queue.kubectl.apply(secret)
    queue.wait_condition("Ready", "True", timeout_s=60)
    queue.wait_workers(1)
    [task_id] = queue.post("echo", {"value": "healed"})
    queue.wait_completed(1)
    assert queue.records([task_id])[0]["state"] == "completed"
