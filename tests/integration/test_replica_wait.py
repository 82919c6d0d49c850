"""Waiting for replicas on a real pair: what a producer is told when the replica confirms, and when it is silent."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from ferryman import NotReplicated, Queue
from ferryman.api.app import create_app
from ferryman.api.settings import ApiSettings
from ferryman.call import command
from ferryman.cli.main import root
from ferryman.inspector import Inspector, QueueStats
from ferryman.keys import Keys
from ferryman.link import Link, SyncLink
from ferryman.pools import close_sync_links
from ferryman.replication import ReplicaWait

SHORT = "100ms"


class Pair:
    """A primary and its replica, in step."""

    def __init__(self, primary: Any, replica: Any) -> None:
        self.url = primary.url
        self._replica = replica
        self._link = SyncLink.from_url(primary.url)
        self._behind = SyncLink.from_url(replica.url)

    def silence(self) -> None:
        """The replica confirms nothing more, and the primary does not know that yet."""
        self._replica.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._replica.process.send_signal(signal.SIGCONT)

    def ask(self, *words: str) -> Any:
        return self._link.run(command(*words, read=lambda reply: reply))

    def stats(self) -> QueueStats:
        return self._link.run(Inspector("emails").stats())

    def on_the_replica(self, id: str) -> Any:
        """The task's arguments there, or None."""
        key = Keys("emails").task + id
        return self._behind.run(command("HGET", key, "args", read=lambda reply: reply))

    def close(self) -> None:
        self.wake()
        for link in (self._link, self._behind):
            link.close()


@pytest.fixture
def pair(start_redis: Callable[..., Any]) -> Iterator[Pair]:
    primary = start_redis("--repl-diskless-sync-delay", "0")
    made = Pair(primary, start_redis("--replicaof", "127.0.0.1", str(primary.port)))
    # In step once it has confirmed a write of this connection.
    made.ask("SET", "first", "1")
    assert made.ask("WAIT", "1", "30000") == 1
    yield made
    made.close()
    close_sync_links()


def emails(pair: Pair, replicas: int = 1, timeout: str = SHORT) -> Queue:
    return Queue("emails", redis_url=pair.url, wait_replicas=replicas, wait_replicas_timeout=timeout)


async def test_a_confirmed_task_is_on_the_replica(pair: Pair) -> None:
    accepted = await emails(pair, timeout="4s").enqueue("send", {"to": "a"})
    assert pair.on_the_replica(accepted.id) == b'{"to":"a"}'


async def test_a_silent_replica_is_an_error_about_an_accepted_task(pair: Pair) -> None:
    queue = emails(pair)
    pair.silence()
    with pytest.raises(NotReplicated) as caught:
        await queue.enqueue("send", id="t1")
    error = caught.value
    assert ([one.id for one in error.accepted], error.replicas, error.wanted) == (["t1"], 0, 1)
    assert pair.stats().waiting == 1
    pair.wake()
    again = await emails(pair, timeout="4s").enqueue("send", id="t1")
    assert (again.id, again.created) == ("t1", False)
    assert (pair.stats().enqueued, pair.stats().unaccounted) == (1, 0)
    assert pair.on_the_replica("t1"), "the second enqueue waited for the first one's task too"


async def test_the_wait_stays_with_its_enqueue_when_redis_has_lost_the_script(pair: Pair) -> None:
    queue = emails(pair, timeout="4s")
    await queue.enqueue("send")
    pair.ask("SCRIPT", "FLUSH")
    pair.silence()
    queue.producer._steps._wait = ReplicaWait.of(1, SHORT)
    with pytest.raises(NotReplicated):
        await queue.enqueue("send")
    pair.wake()


async def test_callers_of_one_tick_hear_each_about_their_own_task(pair: Pair) -> None:
    queue = emails(pair)
    pair.silence()
    ids = [f"t{i}" for i in range(5)]
    results = await asyncio.gather(*(queue.enqueue("send", id=id) for id in ids), return_exceptions=True)
    told = [error.accepted for error in results if isinstance(error, NotReplicated)]
    assert [[one.id for one in accepted] for accepted in told] == [[id] for id in ids]


def test_blocking_and_many_are_told_the_same(pair: Pair) -> None:
    queue = emails(pair)
    pair.silence()
    with pytest.raises(NotReplicated, match="1 task is accepted"):
        queue.enqueue_sync("send")
    with pytest.raises(NotReplicated, match="125 tasks are accepted"):
        queue.enqueue_many_sync(queue.named("send") for _ in range(300))
    assert pair.stats().waiting == 126, "the batch after the unconfirmed one was not sent"


async def test_nobody_waits_unless_told_to(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FERRYMAN_WAIT_REPLICAS", raising=False)
    pair.ask("CONFIG", "RESETSTAT")
    pair.silence()
    queue = Queue("emails", redis_url=pair.url)
    await queue.enqueue("send")
    await queue.enqueue_many([queue.named("send")])
    assert "cmdstat_wait" not in pair.ask("INFO", "commandstats")


async def test_the_environment_tells_a_queue_to_wait(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERRYMAN_WAIT_REPLICAS", "1")
    monkeypatch.setenv("FERRYMAN_WAIT_REPLICAS_TIMEOUT", SHORT)
    pair.silence()
    with pytest.raises(NotReplicated):
        await Queue("emails", redis_url=pair.url).enqueue("send")
    await Queue("emails", redis_url=pair.url, wait_replicas=0).enqueue("send")


def test_the_command_prints_the_ids_and_fails(pair: Pair) -> None:
    words = ["enqueue", "emails", "send", "--count", "300", "--redis", pair.url]
    wait = ["--wait-replicas", "1", "--wait-replicas-timeout"]
    done = CliRunner().invoke(root, [*words, *wait, "4s"])
    assert (done.exit_code, len(done.stdout.split())) == (0, 300), done.output
    pair.silence()
    done = CliRunner().invoke(root, [*words, *wait, SHORT])
    assert (done.exit_code, len(done.stdout.split())) == (1, 300)
    assert "300 accepted, but only 0 of 1 replicas confirmed in time" in done.stderr
    assert pair.stats().waiting == 600
    assert CliRunner().invoke(root, [*words, *wait, "1h"]).exit_code == 2


@pytest.fixture
async def api(pair: Pair) -> AsyncIterator[httpx.AsyncClient]:
    settings = ApiSettings.from_env({"FERRYMAN_WAIT_REPLICAS": "1", "FERRYMAN_WAIT_REPLICAS_TIMEOUT": "500ms"})
    app = create_app(settings, lambda: Link.from_url(pair.url))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        yield client


async def test_the_api_answers_503_with_the_accepted_ids(pair: Pair, api: httpx.AsyncClient) -> None:
    body = {"queue": "emails", "task": "send", "count": 600}
    keyed = {"Idempotency-Key": "batch-7"}
    pair.silence()
    reply = await api.post("/tasks", json=body, headers=keyed)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "2")
    problem = reply.json()
    assert problem["type"] == "urn:ferryman:problem:not-replicated"
    assert (problem["replicas"], problem["wanted"], len(problem["accepted"])) == (0, 1, 600)
    pair.wake()
    async with asyncio.timeout(30):  # it wakes when the machine lets it
        while (again := await api.post("/tasks", json=body, headers=keyed)).status_code == 503:
            pass
    assert again.status_code == 201, json.dumps(again.json())
    assert [one["created"] for one in again.json()["tasks"]] == [False] * 600
    assert pair.stats().enqueued == 600
