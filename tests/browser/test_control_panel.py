"""The control panel's buttons, from a real browser: a page of another origin sends what Grafana's Actions send.

What Grafana sends: its page calls fetch with the action's method, headers and body, and adds `X-Grafana-Action: 1`.
That header and Authorization make the browser ask by a preflight first.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ferryman_yard.api_process import ApiProcess

from ferryman import Queue
from ferryman.broker import Broker
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.workers import WorkerInfo, WorkerRegistry

TASK = {"queue": "emails", "task": "send", "args": {"to": "a@example.com"}}

emails = Queue("emails")


@emails.task
def send(to: str) -> None:
    """Only its manifest is of interest."""


@pytest.fixture
def api(redis_url: str, tmp_path: Path, origins: tuple[Any, Any]) -> Iterator[ApiProcess]:
    for scope in ("admin", "enqueue"):
        (tmp_path / scope).write_text(f"{scope}-token")
    process = ApiProcess(
        redis_url,
        tmp_path,
        FERRYMAN_API_ORIGINS=origins[0].url,
        FERRYMAN_API_TOKEN_FILE=str(tmp_path / "admin"),
        FERRYMAN_API_ENQUEUE_TOKEN_FILE=str(tmp_path / "enqueue"),
    )
    yield process
    process.stop()


def action(api: ApiProcess, path: str, body: Any = None, *, token: str = "admin-token", method: str = "POST") -> Any:
    """What Grafana makes of an Action: without a body it sends an empty object, with GET none."""
    headers = {"Accept": "application/json, text/plain, */*", "Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    request = {"url": f"{api.url}{path}", "method": method, "headers": headers | {"X-Grafana-Action": "1"}}
    return request | ({"body": json.dumps(body or {})} if method == "POST" else {})


def answered(api: ApiProcess, method: str) -> dict[int, int]:
    """How many requests of this method the API has answered, by status."""
    with urllib.request.urlopen(f"{api.url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    counted: dict[int, int] = {}
    pattern = rf'^ferryman_http_requests_total{{method="{method}",route="[^"]*",status="(\d+)"}} (\S+)'
    for status, count in re.findall(pattern, text, re.MULTILINE):
        counted[int(status)] = counted.get(int(status), 0) + int(float(count))
    return counted


async def stats(link: Link, queue: str = "emails") -> QueueStats:
    return await link.run(Inspector(queue).stats())


async def add_dead_task(link: Link) -> None:
    worker = WorkerInfo("w1", "", "pod-1", 60_000, 1_000, 10, "acme.tasks", "1.0")
    await link.run(WorkerRegistry("emails").register(worker, emails.manifest("acme.tasks")))
    for delivery in (await link.run(Broker("emails").fetch("w1", 1))).tasks:
        await link.run(Broker("emails").dead_letter("w1", delivery.id, delivery.token, error="Boom"))


async def test_every_button_works_from_the_configured_origin(
    api: ApiProcess, origins: Any, visit: Callable[..., list[dict[str, Any]]], real_link: Link
) -> None:
    met = visit(
        origins[0],
        [
            action(api, "/tasks", {**TASK, "count": 5}),
            action(api, "/tasks", {**TASK, "delay": "10s"}),
            action(api, "/tasks", {**TASK, "queue": "other"}),
            action(api, "/queues/emails/hold"),
        ],
    )
    assert [answer.get("status") for answer in met] == [201, 201, 201, 200], met
    now = await stats(real_link)
    assert (now.waiting, now.delayed, now.hold) == (5, 1, True)
    assert answered(api, "OPTIONS") == {204: 2}, "one preflight per address; the browser remembers the answer"

    visit(origins[0], [action(api, "/queues/emails/resume")])
    await add_dead_task(real_link)
    now = await stats(real_link)
    assert (now.waiting, now.dead, now.hold) == (4, 1, False)
    (revived,) = visit(origins[0], [action(api, "/queues/emails/revive")])
    assert json.loads(revived["text"])["revived"] == 1

    preview, refused, done = visit(
        origins[0],
        [
            action(api, "/queues/emails/reset", method="GET"),
            action(api, "/queues/emails/reset"),
            action(api, "/queues/emails/reset", {"confirm": "emails"}),
        ],
    )
    assert json.loads(preview["text"])["would_discard"] == {"waiting": 5, "delayed": 1, "dead": 0}
    assert refused["status"] == 422
    assert json.loads(refused["text"])["would_discard"] == {"waiting": 5, "delayed": 1, "dead": 0}
    assert json.loads(done["text"])["discarded"] == {"waiting": 5, "delayed": 1, "dead": 0}
    assert (await stats(real_link)).waiting == 0
    assert (await stats(real_link, "other")).waiting == 1, "other queues are left alone"


async def test_a_page_of_another_origin_is_refused_before_it_sends_anything(
    api: ApiProcess, origins: Any, visit: Callable[..., list[dict[str, Any]]], real_link: Link
) -> None:
    met = visit(
        origins[1],
        [action(api, "/tasks", TASK), action(api, "/queues/emails/hold"), action(api, "/queues", method="GET")],
    )
    assert [answer["error"] for answer in met] == ["TypeError: Failed to fetch"] * 3
    assert answered(api, "OPTIONS") == {403: 3}
    assert answered(api, "POST") == {}, "the browser did not send what the preflight refused"
    now = await stats(real_link)
    assert (now.enqueued, now.hold) == (0, False)


async def test_a_missing_wrong_or_too_narrow_token_is_refused_with_a_reason_that_the_page_can_read(
    api: ApiProcess, origins: Any, visit: Callable[..., list[dict[str, Any]]], real_link: Link
) -> None:
    met = visit(
        origins[0],
        [
            action(api, "/tasks", TASK, token=""),
            action(api, "/tasks", TASK, token="guessed"),
            action(api, "/queues/emails/hold", token="enqueue-token"),
            action(api, "/tasks", TASK, token="enqueue-token"),
        ],
    )
    assert [answer.get("status") for answer in met] == [401, 401, 403, 201], met
    assert json.loads(met[0]["text"])["detail"].startswith("The bearer token is missing.")
    assert json.loads(met[2]["text"])["needed"] == "admin"
    now = await stats(real_link)
    assert (now.enqueued, now.hold) == (1, False)


async def test_requests_that_need_no_preflight_do_nothing_where_no_token_protects(
    redis_url: str, tmp_path: Path, origins: Any, visit: Callable[..., list[dict[str, Any]]], real_link: Link
) -> None:
    api = ApiProcess(redis_url, tmp_path)
    try:
        blind = {"method": "POST", "mode": "no-cors"}
        met = visit(
            origins[1],
            [
                {"url": f"{api.url}/queues/emails/hold", **blind},
                {"url": f"{api.url}/tasks", "body": json.dumps(TASK), **blind},
            ],
        )
        assert [answer["type"] for answer in met] == ["opaque", "opaque"], "they were sent, unseen"
        assert answered(api, "POST") == {403: 2}
        now = await stats(real_link)
        assert (now.enqueued, now.hold) == (0, False)
    finally:
        api.stop()
