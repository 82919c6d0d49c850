"""Enqueueing through a Queue, on the real scripts (fakeredis): every way in, and what survives a lost reply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest

from ferryman import BrokerUnavailable, Context, Enqueued, InvalidTask, Queue, QueueFull, TaskState, enqueue_steps
from ferryman import batches as batches_module
from ferryman.batches import BATCH_TASKS
from ferryman.call import Call
from ferryman.inspector import Inspector, queues_known
from ferryman.link import Link, SyncLink
from ferryman.options import TaskOptions
from ferryman.pools import replaced
from ferryman.sending import WorkItem


class WatchedLink(Link):
    """Counts the calls by script; loses or refuses the replies it is told to."""

    def __init__(self, server: fakeredis.FakeServer) -> None:
        super().__init__(fakeredis.FakeAsyncRedis(server=server))
        self.calls: list[str] = []
        self.lose_replies = 0
        self.refuse: list[Exception] = []

    async def run(self, call: Call[Any]) -> Any:
        self.calls.append(call.script or str(call.args[0]))
        await asyncio.sleep(0)  # as a network would, and fakeredis does not always
        if call.script and self.refuse and (error := self.refuse.pop(0)):
            raise error
        reply = await super().run(call)
        if call.script and self.lose_replies:
            self.lose_replies -= 1
            raise BrokerUnavailable("the connection broke")
        return reply


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def link(server: fakeredis.FakeServer) -> Iterator[WatchedLink]:
    link = WatchedLink(server)
    with replaced(lambda: link, lambda: SyncLink(fakeredis.FakeRedis(server=server))):
        yield link


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enqueue_steps, "RESEND_PAUSES_S", (0.0, 0.0))


emails = Queue("emails")


@emails.task(max_attempts=5, timeout="30s")
async def send(ctx: Context[None], to: str, subject: str = "") -> None: ...


@emails.task
def resize(path: str) -> None: ...


other = Queue("other")


@other.task(name="send")
def foreign(to: str) -> None: ...


async def stored(link: Link, id: str) -> Any:
    task = await link.run(Inspector("emails").get(id))
    assert task is not None
    return task


async def unaccounted_and_enqueued(link: Link) -> tuple[int | None, int]:
    stats = await link.run(Inspector("emails").stats())
    return stats.unaccounted, stats.enqueued


async def test_enqueue_puts_the_task_into_waiting(link: WatchedLink) -> None:
    accepted = await send.enqueue("a@example.com", subject="hi")
    task = await stored(link, accepted.id)
    assert accepted.created
    assert (task.name, task.args, task.options) == ("send", b'{"to":"a@example.com","subject":"hi"}', b"")
    assert task.state is TaskState.WAITING


async def test_options_travel_with_the_task(link: WatchedLink) -> None:
    accepted = await send.options(delay="10s", priority=5, unique="hi:42", id="mine", max_attempts=2).enqueue(to="a")
    task = await stored(link, "mine")
    assert accepted == Enqueued("mine", True)
    assert (task.state, task.priority, task.unique) == (TaskState.DELAYED, 5, "hi:42")
    assert TaskOptions.decode(task.options) == TaskOptions(max_attempts=2)
    assert task.run_at_ms - task.enqueued_ms == 10_000


async def test_an_id_and_a_unique_key_answer_with_the_task_that_exists(link: WatchedLink) -> None:
    first = await send.options(id="mine", unique="hi:42").enqueue("a")
    assert await send.options(id="mine").enqueue("b") == Enqueued("mine", False)
    assert await send.options(unique="hi:42").enqueue("c") == Enqueued(first.id, False)
    assert await unaccounted_and_enqueued(link) == (0, 1)


async def test_enqueue_by_name_checks_what_it_can(link: WatchedLink) -> None:
    accepted = await emails.enqueue("elsewhere", {"any": [1]}, priority=2)
    assert (await stored(link, accepted.id)).args == b'{"any":[1]}'
    assert (await stored(link, (await emails.enqueue("nothing")).id)).args == b"{}"
    with pytest.raises(InvalidTask) as caught:
        await emails.enqueue("send", {"to": 1})
    assert caught.value.field == "to"
    with pytest.raises(InvalidTask, match="a thread can't be killed"):
        await emails.enqueue("resize", {"path": "x"}, timeout="3s")
    for wrong in ([1], {1: 2}, "x"):
        with pytest.raises(InvalidTask, match="mapping from parameter names"):
            await emails.enqueue("elsewhere", wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidTask) as caught:
        await emails.enqueue("no name", {})
    assert caught.value.field == "task"


async def test_many_go_in_batches_and_in_order(link: WatchedLink) -> None:
    count = 2 * BATCH_TASKS + 1
    accepted = await emails.enqueue_many(send.task(to=str(n)) for n in range(count))
    assert [reply.created for reply in accepted] == [True] * count
    assert (await stored(link, accepted[-1].id)).args == f'{{"to":"{count - 1}"}}'.encode()
    assert link.calls.count("enqueue") == 3
    assert await unaccounted_and_enqueued(link) == (0, count)


async def test_many_takes_mixed_handlers_options_and_names(link: WatchedLink) -> None:
    accepted = await emails.enqueue_many(
        [resize.task("x"), send.options(delay=5).task("a"), emails.named("elsewhere", {"n": 1}, id="mine")]
    )
    tasks = [await stored(link, reply.id) for reply in accepted]
    assert [(t.name, t.state.value) for t in tasks] == [
        ("resize", "waiting"),
        ("send", "delayed"),
        ("elsewhere", "waiting"),
    ]
    assert await emails.enqueue_many([]) == []


async def test_large_arguments_make_smaller_batches(link: WatchedLink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "BATCH_BYTES", 1000)
    await emails.enqueue_many(resize.task("x" * 400) for _ in range(4))
    assert link.calls.count("enqueue") == 2


async def test_a_task_of_another_queue_is_refused_before_its_batch_is_sent(link: WatchedLink) -> None:
    with pytest.raises(InvalidTask, match="belongs to queue 'other', not to 'emails'"):
        await emails.enqueue_many([send.task("a"), foreign.task("a")])
    assert link.calls == []


async def test_a_batch_that_fails_says_how_many_went_before_it(link: WatchedLink) -> None:
    def tasks() -> Iterator[WorkItem]:
        for n in range(BATCH_TASKS + 1):
            yield send.task(str(n))
        yield send.task(3)  # type: ignore[arg-type]

    with pytest.raises(InvalidTask) as caught:
        await emails.enqueue_many(tasks())
    assert caught.value.__notes__ == [f"{BATCH_TASKS} tasks were enqueued before this"]
    assert await unaccounted_and_enqueued(link) == (0, BATCH_TASKS)


async def test_the_sync_ways_do_the_same(link: WatchedLink) -> None:
    def produce() -> list[Enqueued]:
        return [
            send.enqueue_sync("a"),
            send.options(priority=1).enqueue_sync(to="b"),
            emails.enqueue_sync("elsewhere", {"n": 1}),
            *emails.enqueue_many_sync([resize.task("x"), resize.task("y")]),
        ]

    accepted = await asyncio.to_thread(produce)
    assert all(reply.created for reply in accepted)
    assert [(await stored(link, reply.id)).name for reply in accepted] == [
        "send",
        "send",
        "elsewhere",
        "resize",
        "resize",
    ]


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_lost_reply_is_harmless(link: WatchedLink, lost: int) -> None:
    link.lose_replies = lost
    assert (await send.enqueue("a")).created, "a resend that finds its own task did create it"
    assert await unaccounted_and_enqueued(link) == (0, 1)


async def test_after_a_lost_reply_nobody_claims_what_was_there_before(link: WatchedLink) -> None:
    first = await send.options(unique="k").enqueue("a")
    link.lose_replies = 1
    assert await send.options(unique="k").enqueue("b") == Enqueued(first.id, False)
    await send.options(id="mine").enqueue("a")
    link.lose_replies = 1
    assert await send.options(id="mine").enqueue("a") == Enqueued("mine", False)


async def test_the_same_item_twice_is_created_once(link: WatchedLink) -> None:
    item = send.task("a")
    assert [reply.created for reply in await emails.enqueue_many([item, item])] == [True, False]


async def test_a_redis_that_stays_away_is_reported(link: WatchedLink) -> None:
    link.lose_replies = 100
    with pytest.raises(BrokerUnavailable):
        await send.enqueue("a")
    assert link.calls.count("enqueue") == 3


async def test_a_full_redis_is_not_asked_again(link: WatchedLink) -> None:
    link.refuse = [QueueFull("full")]
    with pytest.raises(QueueFull):
        await send.enqueue("a")
    assert link.calls.count("enqueue") == 1


async def test_the_first_goes_at_once_and_those_behind_it_travel_together(link: WatchedLink) -> None:
    accepted = await asyncio.gather(*(send.enqueue(str(n)) for n in range(BATCH_TASKS)))
    assert link.calls.count("enqueue") == 2
    tasks = [await stored(link, reply.id) for reply in accepted]
    assert [task.args for task in tasks] == [f'{{"to":"{n}"}}'.encode() for n in range(BATCH_TASKS)]


async def test_all_who_travel_together_hear_of_a_failure_and_a_cancelled_one_disturbs_nobody(link: WatchedLink) -> None:
    link.refuse = [QueueFull("full"), QueueFull("full")]
    results = await asyncio.gather(*(send.enqueue(str(n)) for n in range(4)), return_exceptions=True)
    assert [type(result) for result in results] == [QueueFull] * 4
    waiters = [asyncio.create_task(send.enqueue(str(n))) for n in range(4)]
    await asyncio.sleep(0)
    waiters[2].cancel()
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert [getattr(result, "created", type(result)) for result in results] == [
        True,
        True,
        asyncio.CancelledError,
        True,
    ]
    assert await unaccounted_and_enqueued(link) == (0, 4)


async def test_a_queue_is_announced_before_its_first_task_and_not_with_each(link: WatchedLink) -> None:
    queue = Queue("fresh")
    for _ in range(3):
        await queue.enqueue("work")
    assert link.calls == ["SADD", "enqueue", "enqueue", "enqueue"]
    assert await link.run(queues_known()) == ["fresh"]
