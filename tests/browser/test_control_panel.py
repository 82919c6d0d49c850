"""The control panel's buttons, from a real browser: a page of another origin sends what Grafana's Actions send.

The requests are made from the dashboard that the chart ships, by Grafana's own rules: its page calls fetch with the
action's method, headers and body, and adds `X-Grafana-Action: 1`. That header and Authorization make the browser ask
by a preflight first.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ferryman_dashboards.pressing import Press, actions_of, question_of, request_of
from ferryman_yard.api_process import ApiProcess

from ferryman import Queue
from ferryman.broker import Broker
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.workers import WorkerInfo, WorkerRegistry

DASHBOARD = Path(__file__).parents[2] / "charts" / "ferryman" / "dashboards" / "ferryman-queue.json"
ACTIONS = actions_of(json.loads(DASHBOARD.read_text(encoding="utf-8")))
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


def press(
    api_url: str, title: str, *, token: str = "admin-token", row: dict[str, str] | None = None, **changed: str
) -> dict[str, Any]:
    """What Grafana sends when this button of the shipped dashboard is pressed on the page of the queue emails."""
    request = request_of(ACTIONS[title], page(api_url, token=token, row=row))
    return request | changed


def page(api_url: str, *, token: str = "admin-token", row: dict[str, str] | None = None) -> Press:
    variables = {
        "namespace": "shop",
        "queue": "emails",
        "api_url": api_url,
        "token": token,
        "sample_task": "send",
        "sample_args": '{"to": "a@example.com"}',
    }
    return Press(variables, row or {}, "https://grafana.example.com")


def asking(api: ApiProcess, path: str) -> dict[str, Any]:
    """A look, as a page would ask for it."""
    headers = {"Authorization": "Bearer admin-token", "X-Grafana-Action": "1"}
    return {"url": f"{api.url}{path}", "method": "GET", "headers": headers}


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


def test_the_dashboard_has_the_buttons_of_the_first_web_page_and_those_of_a_queue() -> None:
    assert list(ACTIONS) == [
        "Add 5 tasks",
        "Add delayed task (10 s)",
        "Crash a worker",
        "Hold",
        "Resume",
        "Revive dead",
        "Reset queue",
    ]


async def test_every_button_works_from_the_configured_origin(
    api: ApiProcess, origins: Any, visit: Callable[..., list[dict[str, Any]]], real_link: Link
) -> None:
    met = visit(
        origins[0],
        [press(api.url, title) for title in ("Add 5 tasks", "Add delayed task (10 s)", "Crash a worker", "Hold")],
    )
    assert [answer.get("status") for answer in met] == [201, 201, 201, 200], met
    now = await stats(real_link)
    assert (now.waiting, now.delayed, now.hold) == (6, 1, True)
    assert answered(api, "OPTIONS") == {204: 2}, "one preflight per address; the browser remembers the answer"
    tasks = json.loads(visit(origins[0], [asking(api, "/queues/emails/tasks?state=waiting")])[0]["text"])["tasks"]
    assert sorted(task["task"] for task in tasks) == ["crash_once", *["send"] * 5]
    assert [task["args"] for task in tasks if task["task"] == "send"] == [{"to": "a@example.com"}] * 5

    visit(origins[0], [press(api.url, "Resume")])
    await add_dead_task(real_link)
    now = await stats(real_link)
    assert (now.waiting, now.dead, now.hold) == (5, 1, False)
    (revived,) = visit(origins[0], [press(api.url, "Revive dead")])
    assert json.loads(revived["text"])["revived"] == 1
    assert (await stats(real_link)).dead == 0


async def test_reset_says_what_it_will_delete_and_deletes_that_and_nothing_of_other_queues(
    api: ApiProcess, origins: Any, visit: Callable[..., list[dict[str, Any]]], real_link: Link
) -> None:
    other = press(api.url, "Add 5 tasks")
    other["body"] = other["body"].replace("emails", "other")
    visit(origins[0], [press(api.url, "Add 5 tasks"), press(api.url, "Add delayed task (10 s)"), other])
    await add_dead_task(real_link)
    now = await stats(real_link)
    row = {"Waiting": str(now.waiting), "Scheduled": str(now.delayed), "Dead": str(now.dead)}
    assert row == {"Waiting": "4", "Scheduled": "1", "Dead": "1"}
    question = question_of(ACTIONS["Reset queue"], page(api.url, row=row))
    assert question.startswith(
        "Reset emails: this deletes its tasks that are waiting (4 now), scheduled (1) or dead (1), for good."
    )
    assert "$" not in question

    preview, refused, done = visit(
        origins[0],
        [
            asking(api, "/queues/emails/reset"),
            press(api.url, "Reset queue", body="{}"),
            press(api.url, "Reset queue"),
        ],
    )
    will_go = {"blocked": 0, "waiting": 4, "delayed": 1, "dead": 1}
    assert json.loads(preview["text"])["would_discard"] == will_go
    assert refused["status"] == 422
    assert json.loads(refused["text"])["would_discard"] == will_go
    assert json.loads(done["text"])["discarded"] == will_go
    now = await stats(real_link)
    assert (now.waiting, now.delayed, now.dead, now.unaccounted) == (0, 0, 0, 0)
    assert (await stats(real_link, "other")).waiting == 5, "other queues are left alone"


async def test_a_reset_that_confirms_another_queue_is_refused(
    api: ApiProcess, origins: Any, visit: Callable[..., list[dict[str, Any]]], real_link: Link
) -> None:
    _, refused = visit(
        origins[0],
        [press(api.url, "Add 5 tasks"), press(api.url, "Reset queue", body='{"confirm": "other"}')],
    )
    assert refused["status"] == 422
    assert (await stats(real_link)).waiting == 5


async def test_a_page_of_another_origin_is_refused_before_it_sends_anything(
    api: ApiProcess, origins: Any, visit: Callable[..., list[dict[str, Any]]], real_link: Link
) -> None:
    met = visit(origins[1], [*(press(api.url, title) for title in ACTIONS), asking(api, "/queues")])
    assert [answer["error"] for answer in met] == ["TypeError: Failed to fetch"] * (len(ACTIONS) + 1)
    assert answered(api, "OPTIONS") == {403: len(ACTIONS) + 1}
    assert answered(api, "POST") == {}, "the browser did not send what the preflight refused"
    now = await stats(real_link)
    assert (now.enqueued, now.hold) == (0, False)


async def test_a_missing_wrong_or_too_narrow_token_is_refused_with_a_reason_that_the_page_can_read(
    api: ApiProcess, origins: Any, visit: Callable[..., list[dict[str, Any]]], real_link: Link
) -> None:
    narrow = [press(api.url, title, token="enqueue-token") for title in ACTIONS]
    met = visit(
        origins[0],
        [press(api.url, "Add 5 tasks", token=""), press(api.url, "Add 5 tasks", token="guessed"), *narrow],
    )
    assert [answer.get("status") for answer in met] == [401, 401, 201, 201, 201, 403, 403, 403, 403], met
    assert json.loads(met[0]["text"])["detail"].startswith("The bearer token is missing.")
    assert json.loads(met[1]["text"])["detail"].startswith("The bearer token is not valid.")
    assert [json.loads(answer["text"])["needed"] for answer in met[5:]] == ["admin"] * 4
    now = await stats(real_link)
    assert (now.enqueued, now.waiting, now.hold) == (7, 6, False)


async def test_behind_grafanas_own_address_the_page_needs_neither_a_token_nor_cors(
    redis_url: str, tmp_path: Path, origins: Any, visit: Callable[..., list[dict[str, Any]]], real_link: Link
) -> None:
    (tmp_path / "admin").write_text("admin-token")
    api = ApiProcess(redis_url, tmp_path, FERRYMAN_API_TOKEN_FILE=str(tmp_path / "admin"))
    grafana, stranger = origins
    grafana.behind, grafana.token = api.url, "admin-token"
    same = Press({**page("/ferryman").variables, "token": ""}, {}, grafana.url)
    try:
        met = visit(grafana, [request_of(ACTIONS[title], same) for title in ("Add 5 tasks", "Hold")])
        assert [answer.get("status") for answer in met] == [201, 200], met
        assert answered(api, "OPTIONS") == {}
        met = visit(stranger, [request_of(ACTIONS["Resume"], same)])
        assert "error" in met[0], "a page of elsewhere cannot use the way through Grafana's address"
        now = await stats(real_link)
        assert (now.waiting, now.hold) == (5, True)
    finally:
        api.stop()


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
