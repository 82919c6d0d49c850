"""The HTTP API on a real Redis: tasks in, tasks out, queues managed, and what it says when Redis is away or full."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from ferryman import Queue, Workflow
from ferryman.api.app import create_app
from ferryman.api.settings import ApiSettings
from ferryman.broker import Broker
from ferryman.call import command
from ferryman.inspector import COUNTED_WORKERS, Inspector, QueueStats, queues_known
from ferryman.keys import Keys
from ferryman.link import Link
from ferryman.workers import WorkerInfo, WorkerRegistry

emails = Queue("emails")


@emails.task
def send(to: str, subject: str = "hi") -> None:
    """Only its manifest is of interest."""


class Api:
    """A client of the API, and a link to look behind its back."""

    def __init__(self, client: httpx.AsyncClient, link: Link) -> None:
        self.client = client
        self.link = link

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.client.post(path, json=body, headers=headers)

    async def stats(self) -> QueueStats:
        return await self.link.run(Inspector("emails").stats(exact=True))

    async def start_worker(self) -> None:
        worker = WorkerInfo("w1", "", "pod-1", 15_000, 1_000, 10, "acme.tasks", "1.0")
        await self.link.run(WorkerRegistry("emails").register(worker, emails.manifest("acme.tasks")))

    async def kill_tasks(self, count: int) -> None:
        """The next `count` waiting tasks go to dead."""
        for delivery in (await self.link.run(Broker("emails").fetch("w1", count))).tasks:
            await self.link.run(Broker("emails").dead_letter("w1", delivery.id, delivery.token, error="Boom"))


@asynccontextmanager
async def serving(redis_url: str, reply_timeout_s: float = 5.0) -> AsyncIterator[Api]:
    app = create_app(ApiSettings(), lambda: Link.from_url(redis_url, reply_timeout_s=reply_timeout_s))
    transport, link = httpx.ASGITransport(app, raise_app_exceptions=False), Link.from_url(redis_url)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        yield Api(client, link)
    await link.close()


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Api]:
    async with serving(redis_url) as api:
        yield api
        assert (await api.stats()).unaccounted == 0


def task(**fields: Any) -> dict[str, Any]:
    return {"queue": "emails", "task": "send", "args": {"to": "a"}, **fields}


async def test_the_trace_context_of_a_request_travels_with_its_tasks(api: Api) -> None:
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "congo=t61"}
    [one] = (await api.post("/tasks", task(), **trace)).json()["ids"]
    two, three = (await api.post("/tasks", {"tasks": [task(), task()]}, **trace)).json()["ids"]
    [none] = (await api.post("/tasks", task(), traceparent="rubbish")).json()["ids"]

    seen = [(await api.client.get(f"/tasks/emails/{id}")).json()["headers"] for id in (one, two, three, none)]
    assert seen == [trace, trace, trace, None]


async def test_one_task_is_enqueued_with_all_its_options(api: Api) -> None:
    options = {"delay": "1h", "priority": 3, "id": "t1", "unique": "u", "max_attempts": 2}
    reply = await api.post("/tasks", task(**options))
    assert reply.status_code == 201
    assert reply.json() == {"ids": ["t1"], "tasks": [{"queue": "emails", "id": "t1", "created": True}]}
    found = (await api.client.get("/tasks/emails/t1")).json()
    expected = {"state": "delayed", "task": "send", "args": {"to": "a"}, "priority": 3, "unique": "u", "attempt": 0}
    assert {name: found[name] for name in expected} == expected
    assert found["options"] == {"max_attempts": 2}
    assert "emails" in await api.link.run(queues_known())


async def test_many_tasks_for_many_queues_are_answered_in_their_order(api: Api) -> None:
    body = {"tasks": [task(), task(queue="sms", count=2), task(id="mine"), task(id="mine")]}
    reply = (await api.post("/tasks", body)).json()
    assert [answer["queue"] for answer in reply["tasks"]] == ["emails", "sms", "sms", "emails", "emails"]
    assert [answer["created"] for answer in reply["tasks"]] == [True, True, True, True, False]
    assert reply["ids"][3:] == ["mine", "mine"]
    assert (await api.stats()).waiting == 2


async def test_a_count_takes_several_script_calls(api: Api) -> None:
    ids = (await api.post("/tasks", task(count=1200))).json()["ids"]
    assert len(set(ids)) == 1200
    assert (await api.stats()).waiting == 1200


async def test_the_idempotency_key_is_the_id_and_sending_it_again_adds_nothing(api: Api) -> None:
    for created in (True, False):
        reply = await api.post("/tasks", task(), **{"Idempotency-Key": '"order-7"'})
        assert reply.status_code == 201
        assert reply.json()["tasks"] == [{"queue": "emails", "id": "order-7", "created": created}]
    for created in (True, False):
        reply = await api.post("/tasks", {"tasks": [task(count=2), task()]}, **{"Idempotency-Key": "batch"})
        assert [(one["id"], one["created"]) for one in reply.json()["tasks"]] == [
            (f"batch:{number}", created) for number in range(3)
        ]
    assert (await api.stats()).enqueued == 4


async def test_name_and_arguments_are_checked_with_what_workers_published(api: Api) -> None:
    assert (await api.post("/tasks", task(task="sned"))).status_code == 201, "no worker has told anything yet"
    await api.start_worker()
    await asyncio.sleep(0)
    # The API may remember for some seconds that there was no manifest; a name it knows to be wrong is looked up again.
    async with asyncio.timeout(10):
        while (unknown := await api.post("/tasks", task(task="sned"))).status_code == 201:
            await asyncio.sleep(0.2)
    assert unknown.status_code == 422
    assert unknown.json()["nearest"] == "send"
    assert "did you mean 'send'?" in unknown.json()["detail"]
    before = (await api.stats()).enqueued
    wrong = (await api.post("/tasks", {"tasks": [task(), task(args={"to": 5})]})).json()
    assert wrong["parameter"] == "to"
    assert wrong["errors"] == [{"pointer": "/tasks/1/args/to", "detail": "expected a string, got 5"}]
    assert (await api.stats()).enqueued == before, "nothing of a refused request is sent"


async def test_a_task_that_a_newer_worker_brings_is_known_at_once(api: Api) -> None:
    await api.start_worker()
    assert (await api.post("/tasks", task(task="later"))).status_code == 422
    newer = Queue("emails")
    newer.task(name="later")(send.function)
    worker = WorkerInfo("w2", "", "pod-2", 15_000, 1_000, 10, "acme.tasks", "1.1")
    await api.link.run(WorkerRegistry("emails").register(worker, newer.manifest("acme.tasks")))
    assert (await api.post("/tasks", task(task="later"))).status_code == 201


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (task(queue="Emails"), "/queue"),
        (task(task="1x"), "/task"),
        (task(delay="5x"), "/delay"),
        (task(delay=-1), "/delay"),
        (task(at="2096-01-01"), "/at"),
        (task(at="2096-01-01T00:00:00Z", delay=1), "/at"),
        (task(id="a b"), "/id"),
        (task(count=0), "/count"),
        (task(count="2"), "/count"),
        (task(count=2, unique="u"), "/count"),
        (task(max_attempts=0), "/max_attempts"),
        (task(priority=2**40), "/priority"),
        (task(args=[1]), "/args"),
        (task(cuont=2), "/cuont"),
        ({"tasks": [task(), task(delay="x")]}, "/tasks/1/delay"),
        ({"tasks": []}, "/tasks"),
        ({"queue": "emails"}, "/task"),
        (None, ""),
        ([], ""),
    ],
)
async def test_what_is_wrong_is_named_by_a_pointer(api: Api, body: Any, pointer: str) -> None:
    reply = await api.post("/tasks", body)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in reply.json()["errors"]][:1] == [pointer]
    assert (await api.stats()).enqueued == 0


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"queue": "emails", "task": "send", "args": {"to": NaN}}',
        '{"queue": "emails", "task": "send", "args": {"to": "\\ud800"}}',
        '{"queue": "emails", "task": "send", "args": {"to": %s}}' % ("9" * 5000),
        "[" * 100_000,
    ],
)
async def test_what_json_cannot_say_or_nobody_can_read_is_refused(api: Api, text: str) -> None:
    reply = await api.client.post("/tasks", content=text, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422)
    assert reply.headers["content-type"] == "application/problem+json"


async def test_more_tasks_or_bytes_than_one_request_may_bring_are_refused(api: Api) -> None:
    assert (await api.post("/tasks", {"tasks": [task(count=9000), task(count=9000)]})).status_code == 422
    assert (await api.post("/tasks", task(count=1000, args={"to": "x" * 50_000}))).status_code == 422
    assert (await api.stats()).enqueued == 0


async def test_what_waits_is_cancelled_and_what_runs_in_a_thread_is_not(api: Api) -> None:
    await api.start_worker()
    await api.post("/tasks", task(id="running"))
    await api.link.run(Broker("emails").fetch("w1", 1))
    await api.post("/tasks", task(id="waiting"))
    gone = (await api.client.delete("/tasks/emails/waiting")).json()
    assert (gone["id"], gone["outcome"]) == ("waiting", "discarded")
    assert (await api.client.delete("/tasks/emails/waiting")).status_code == 404
    running = await api.client.delete("/tasks/emails/running")
    assert (running.status_code, running.json()["outcome"]) == (409, "refused")
    assert running.json()["type"] == "urn:ferryman:problem:task-cannot-stop"
    assert "thread" in running.json()["detail"]
    assert (await api.client.get("/tasks/emails/waiting")).status_code == 404
    assert (await api.client.get("/tasks/emails/running")).json()["worker"] == "w1"


async def test_the_worker_of_a_running_task_is_asked_to_stop_it(api: Api) -> None:
    await api.post("/tasks", task(id="running", task="elsewhere"))
    await api.start_worker()
    await api.link.run(Broker("emails").fetch("w1", 1))
    asked = await api.client.delete("/tasks/emails/running")
    assert (asked.status_code, asked.json()["outcome"]) == (202, "cancelling")
    assert await api.link.run(WorkerRegistry("emails").asked_to_stop("w1", ["running"])) == ["running"]
    await api.link.run(Broker("emails").requeue("w1", [("running", 1)]))
    seen = (await api.client.get("/tasks/emails/running")).json()
    assert (seen["state"], seen["why"], seen["history"][0]["outcome"]) == ("discarded", "cancelled", "cancelled")
    finished = await api.client.delete("/tasks/emails/running")
    assert (finished.status_code, finished.json()["type"]) == (409, "urn:ferryman:problem:task-finished")
    [listed] = (await api.client.get("/queues/emails/tasks", params={"state": "completed"})).json()["tasks"]
    assert listed["state"] == "discarded"


async def test_tasks_are_listed_by_state_in_pages(api: Api) -> None:
    await api.post("/tasks", {"tasks": [task(id=f"t{number}") for number in range(3)]})
    first = (await api.client.get("/queues/emails/tasks", params={"limit": 2})).json()
    assert ([one["id"] for one in first["tasks"]], first["next_offset"]) == (["t0", "t1"], 2)
    second = (await api.client.get("/queues/emails/tasks", params={"limit": 2, "offset": 2})).json()
    assert ([one["id"] for one in second["tasks"]], second["next_offset"]) == (["t2"], None)
    assert (await api.client.get("/queues/emails/tasks", params={"state": "lost"})).status_code == 422


async def test_queues_show_the_figures_of_stats_and_who_works(api: Api) -> None:
    await api.start_worker()
    await api.post("/tasks", {"tasks": [task(), task(queue="sms")]})
    listed = (await api.client.get("/queues")).json()["queues"]
    assert [(one["queue"], one["waiting"], one["hold"]) for one in listed] == [("emails", 1, False), ("sms", 1, False)]
    detail = (await api.client.get("/queues/emails")).json()
    assert {
        name: value for name, value in (await api.stats()).to_json_dict().items() if name != "oldest_waiting_s"
    }.items() <= detail.items()
    assert [one["name"] for one in detail["tasks"]] == ["send"]
    assert detail["tasks"][0]["schema"]["required"] == ["to"]
    assert [(one["id"], one["concurrency"]) for one in detail["worker_list"]] == [("w1", 10)]
    missing = await api.client.get("/queues/emailz")
    assert (missing.status_code, missing.json()["nearest"]) == (404, "emails")


async def test_what_is_unaccounted_is_null_where_more_workers_are_registered_than_are_counted(api: Api) -> None:
    await api.post("/tasks", task())
    crowd = (word for n in range(COUNTED_WORKERS + 1) for word in (1, f"idle-{n}"))
    await api.link.run(command("ZADD", Keys("emails").workers, *crowd, read=int))

    [listed] = (await api.client.get("/queues")).json()["queues"]
    detail = (await api.client.get("/queues/emails")).json()

    for shown in (listed, detail):
        assert (shown["waiting"], shown["active"], shown["unaccounted"]) == (1, 0, None)


async def test_hold_and_resume(api: Api) -> None:
    await api.start_worker()
    await api.post("/tasks", task())
    assert (await api.post("/queues/emails/hold")).json() == {"queue": "emails", "hold": True}
    assert (await api.link.run(Broker("emails").fetch("w1", 1))).reply == "held"
    assert (await api.post("/queues/emails/resume")).json() == {"queue": "emails", "hold": False}
    assert len((await api.link.run(Broker("emails").fetch("w1", 1))).tasks) == 1


async def test_revive_moves_the_named_or_all_dead_tasks(api: Api) -> None:
    await api.start_worker()
    await api.post("/tasks", {"tasks": [task(id=f"t{number}") for number in range(3)]})
    await api.kill_tasks(3)
    assert (await api.post("/queues/emails/revive", {"ids": ["t1", "nope"]})).json()["revived"] == 1
    assert (await api.post("/queues/emails/revive")).json() == {"queue": "emails", "revived": 2, "left": 0}
    assert (await api.stats()).waiting == 3
    assert (await api.post("/queues/emails/revive", {"ids": ["a b"]})).status_code == 422


async def test_reset_needs_the_queues_name_and_says_what_it_discarded(api: Api) -> None:
    await api.start_worker()
    await api.post("/tasks", {"tasks": [task(count=1), task(delay="1h"), task(queue="sms")]})
    await api.kill_tasks(1)
    await api.post("/tasks", task(count=2))
    for body in (None, {}, {"confirm": "sms"}):
        refused = await api.post("/queues/emails/reset", body)
        assert refused.status_code == 422
        assert refused.json()["would_discard"] == {"blocked": 0, "waiting": 2, "delayed": 1, "dead": 1}
        assert '{"confirm": "emails"}' in refused.json()["detail"]
    done = (await api.post("/queues/emails/reset", {"confirm": "emails"})).json()
    assert done == {
        "queue": "emails",
        "discarded": {"blocked": 0, "waiting": 2, "delayed": 1, "dead": 1},
        "active": 0,
        "complete": True,
    }
    assert (await api.link.run(Inspector("sms").stats())).waiting == 1, "other queues are left alone"
    await api.post("/tasks", {"tasks": [task(), task(delay="1h")]})
    await api.post("/queues/emails/reset", {"confirm": "emails", "states": ["delayed"]})
    assert ((await api.stats()).waiting, (await api.stats()).delayed) == (1, 0)


async def test_a_reset_can_be_looked_at_before(api: Api) -> None:
    await api.start_worker()
    await api.post("/tasks", {"tasks": [task(), task(delay="1h"), task(count=2), task(queue="sms")]})
    await api.kill_tasks(1)
    await api.link.run(Broker("emails").fetch("w1", 1))
    preview = await api.client.get("/queues/emails/reset")
    assert preview.json() == {
        "queue": "emails",
        "would_discard": {"blocked": 0, "waiting": 1, "delayed": 1, "dead": 1},
        "active": 1,
        "confirm": "emails",
    }
    some = await api.client.get("/queues/emails/reset", params={"states": ["dead", "completed"]})
    assert some.json()["would_discard"] == {"dead": 1}
    assert (await api.client.get("/queues/emails/reset", params={"states": "active"})).status_code == 422
    assert ((await api.stats()).discarded, (await api.stats()).waiting) == (0, 1), "looking discards nothing"
    done = (await api.post("/queues/emails/reset", {"confirm": preview.json()["confirm"]})).json()
    assert done["discarded"] == preview.json()["would_discard"]


@pytest.mark.parametrize("verb", ["hold", "resume", "revive", "reset"])
async def test_no_verb_touches_another_queue(api: Api, verb: str) -> None:
    await api.post("/tasks", {"tasks": [task(queue="sms"), task(queue="sms", delay="1h"), task()]})
    before = await api.link.run(Inspector("sms").stats())
    assert (await api.post(f"/queues/emails/{verb}", {"confirm": "emails"} if verb == "reset" else None)).is_success
    after = await api.link.run(Inspector("sms").stats())
    assert replace(after, oldest_waiting_s=0, now_ms=0) == replace(before, oldest_waiting_s=0, now_ms=0)


async def test_what_is_enqueued_is_counted_once(api: Api) -> None:
    await api.post("/tasks", task(count=3))
    await api.post("/tasks", task(id="x"))
    await api.post("/tasks", task(id="x"))
    text = (await api.client.get("/metrics")).text
    assert 'ferryman_enqueued_total{queue="emails"} 4.0' in text
    trips = 'ferryman_redis_round_trip_seconds_count{component="api"} '
    assert trips in text
    assert f"{trips}0.0" not in text
    assert "_created" not in text


async def test_a_redis_that_is_away_is_503_with_retry_after_and_comes_back_by_itself(
    start_redis: Callable[..., Any],
) -> None:
    server = start_redis()
    async with serving(server.url) as api:
        assert (await api.client.get("/readyz")).status_code == 200
        server.kill()
        for reply in (
            await api.client.get("/readyz"),
            await api.post("/tasks", task()),
            await api.client.get("/queues"),
        ):
            assert reply.status_code == 503
            assert reply.json()["type"].endswith("redis-unavailable")
            assert int(reply.headers["retry-after"]) > 0
        assert (await api.client.get("/livez")).status_code == 200
        assert (await api.client.get("/metrics")).status_code == 200
        server.start()
        assert (await api.client.get("/readyz")).status_code == 200
        assert (await api.post("/tasks", task())).status_code == 201


async def test_a_redis_that_does_not_answer_is_503_within_bounds(start_redis: Callable[..., Any]) -> None:
    server = start_redis()
    async with serving(server.url, reply_timeout_s=1.0) as api:
        assert (await api.client.get("/readyz")).status_code == 200
        server.process.send_signal(signal.SIGSTOP)
        try:
            started = time.monotonic()
            assert (await api.client.get("/readyz")).status_code == 503
            assert (await api.post("/tasks", task())).status_code == 503
            assert time.monotonic() - started < 6
        finally:
            server.process.send_signal(signal.SIGCONT)
        assert (await api.client.get("/readyz")).status_code == 200


async def test_a_full_redis_is_503_and_says_what_was_accepted(start_redis: Callable[..., Any]) -> None:
    server = start_redis("--maxmemory", "12mb", "--maxmemory-policy", "noeviction")
    async with serving(server.url) as api:
        accepted = 0
        for _ in range(60):
            reply = await api.post("/tasks", task(count=100, args={"to": "x" * 10_000}))
            if reply.status_code == 503:
                break
            accepted += len(reply.json()["ids"])
        assert reply.status_code == 503
        assert reply.json()["type"].endswith("redis-full")
        assert "maxmemory" in reply.json()["detail"]
        assert int(reply.headers["retry-after"]) > 0
        assert (await api.stats()).waiting == accepted + len(reply.json()["accepted"])


async def test_openapi_describes_every_route_with_examples(api: Api) -> None:
    document = (await api.client.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        *("/tasks", "/tasks/{queue}/{id}", "/queues", "/queues/{queue}", "/queues/{queue}/tasks"),
        *(f"/queues/{{queue}}/{action}" for action in ("hold", "resume", "revive", "reset")),
        *("/queues/{queue}/schedules", "/workflows/{queue}/{id}"),
        *("/livez", "/readyz", "/metrics"),
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert set(response["content"]) == {"application/problem+json"}, (method, path, status)
    assert document["components"]["schemas"]["TaskRequest"]["examples"]
    assert (await api.client.get("/docs")).status_code == 200


async def test_a_workflow_is_shown_with_its_nodes(api: Api, redis_url: str) -> None:
    queue = Queue("emails", redis_url=redis_url)
    flow = Workflow("f")
    first = flow.add(queue.named("send"), name="first")
    flow.add(queue.named("send"), name="second", after=[first])
    await flow.enqueue()
    seen = (await api.client.get("/workflows/emails/f")).json()
    assert (seen["state"], [(node["name"], node["state"], node["after"]) for node in seen["nodes"]]) == (
        "running",
        [("first", "waiting", []), ("second", "blocked", ["first"])],
    )
    shown = (await api.client.get("/tasks/emails/f:second")).json()
    assert (shown["workflow"], shown["waits_for"]) == ("f", "other nodes of workflow f")
    assert (await api.client.get("/workflows/emails/nope")).status_code == 404
