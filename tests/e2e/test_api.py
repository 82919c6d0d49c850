"""What the API refuses at the door, with a sentence that helps, once workers have said what they can run."""

from typing import Any

import httpx
import pytest
from ferryman_e2e.api import Api
from ferryman_e2e.scene_queue import SceneQueue
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def _known(queue: SceneQueue) -> None:
    """Lets the workers publish their manifest."""
    queue.create(scaling={"minReplicas": 1})
    queue.wait_workers(1)
    until("the tasks are known", queue.figures, lambda f: f["tasks"], timeout_s=20)


def _refusal(queue: SceneQueue, task: str, args: dict[str, Any]) -> httpx.Response:
    answer = queue.api.request("POST", "/tasks", {"queue": queue.name, "task": task, "args": args})
    print(answer.text)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    return answer


def test_unknown_names_and_wrong_arguments_are_refused(queue: SceneQueue) -> None:
    _known(queue)
    enqueued = queue.figures()["enqueued"]

    answer = _refusal(queue, "wrok", {"seconds": 1})
    assert answer.status_code == 422
    assert answer.json()["nearest"] == "work"
    assert "'work'" in answer.json()["detail"]

    answer = _refusal(queue, "work", {"seconds": "long"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/args/seconds"
    assert "seconds" in answer.json()["detail"]

    answer = _refusal(queue, "work", {"second": 1})
    assert answer.status_code == 422
    assert "second" in answer.json()["detail"]

    assert queue.figures()["enqueued"] == enqueued


def test_an_id_is_an_idempotency_key(queue: SceneQueue) -> None:
    _known(queue)
    for _ in range(2):
        assert queue.post("echo", {"value": "once"}, id="order-42") == ["order-42"]
    queue.wait_completed(1)
    assert queue.post("echo", {"value": "once"}, id="order-42") == ["order-42"]
    figures = queue.figures()
    assert (figures["enqueued"], figures["completed"]) == (1, 1)


def test_nobody_gets_in_without_the_token(api: Api) -> None:
    for wrong in ("", "Bearer wrong"):
        answer = api.request("GET", "/queues", headers={"Authorization": wrong})
        assert answer.status_code == 401
        assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert api.request("GET", "/livez", headers={"Authorization": ""}).status_code == 200
