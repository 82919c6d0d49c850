"""The ways in which a unique key keeps others out: until done, while waiting, throttled, debounced."""

from __future__ import annotations

from typing import Any

from ferryman_bench import Bench

from ferryman.new_task import Enqueued, NewTask
from ferryman.protocol import Completion, Delivery
from ferryman.task import TaskState
from ferryman.terms import Terms

WHILE_WAITING = Terms(unique_for="while_waiting").encode()
THROTTLE = Terms(throttle_ms=10_000).encode()
DEBOUNCE = Terms(debounce_ms=10_000).encode()


async def send(bench: Bench, id: str, terms: bytes, args: bytes = b"{}", key: str = "k", **fields: Any) -> Enqueued:
    [reply] = await bench.run(bench.broker.enqueue([NewTask(id, "echo", args, unique=key, terms=terms, **fields)]))
    return reply


async def finish(bench: Bench, held: Delivery) -> None:
    await bench.run(bench.broker.complete("w", [Completion(held.id, held.token)]))


async def test_while_waiting_the_key_is_free_as_soon_as_a_worker_has_the_task(bench: Bench) -> None:
    await bench.register("w")

    assert await send(bench, "a", WHILE_WAITING) == Enqueued("a", True)
    assert await send(bench, "b", WHILE_WAITING) == Enqueued("a", False)
    [held] = await bench.fetch("w", 10)
    assert await send(bench, "c", WHILE_WAITING) == Enqueued("c", True)
    await finish(bench, held)

    assert await send(bench, "d", WHILE_WAITING) == Enqueued("c", False)


async def test_while_waiting_holds_for_a_delayed_task_too(bench: Bench) -> None:
    assert (await send(bench, "a", WHILE_WAITING, delay_ms=5_000)).created
    assert not (await send(bench, "b", WHILE_WAITING)).created


async def test_a_throttled_key_is_kept_for_its_time_whatever_becomes_of_the_task(bench: Bench) -> None:
    await bench.register("w")

    assert await send(bench, "a", THROTTLE) == Enqueued("a", True)
    [held] = await bench.fetch("w", 10)
    await finish(bench, held)
    assert await send(bench, "b", THROTTLE) == Enqueued("a", False)

    await bench.clock.advance(9_000)
    assert await send(bench, "c", THROTTLE) == Enqueued("a", False)
    await bench.clock.advance(1_001)
    assert await send(bench, "d", THROTTLE) == Enqueued("d", True)


async def test_one_batch_obeys_its_own_throttle(bench: Bench) -> None:
    tasks = [NewTask(id, "echo", b"{}", unique="k", terms=THROTTLE) for id in ("a", "b", "c")]

    assert await bench.run(bench.broker.enqueue(tasks)) == [Enqueued("a", i == 0) for i in range(3)]
    assert (await bench.stats()).waiting == 1


async def test_the_last_of_a_debounced_key_counts_and_the_quiet_begins_again(bench: Bench) -> None:
    await bench.register("w")

    assert await send(bench, "a", DEBOUNCE, b'{"n":1}') == Enqueued("a", True)
    await bench.clock.advance(8_000)
    assert await send(bench, "b", DEBOUNCE, b'{"n":2}') == Enqueued("a", False)
    await bench.clock.advance(8_000)
    assert (await bench.run(bench.broker.promote())).count == 0

    await bench.clock.advance(2_001)
    assert (await bench.run(bench.broker.promote())).count == 1
    [held] = await bench.fetch("w", 10)
    assert (held.id, held.args) == ("a", b'{"n":2}')


async def test_after_the_quiet_a_new_window_begins_though_nobody_has_run_it(bench: Bench) -> None:
    await send(bench, "a", DEBOUNCE, b'{"n":1}')
    await bench.clock.advance(10_001)
    await bench.run(bench.broker.promote())

    assert await send(bench, "b", DEBOUNCE, b'{"n":2}') == Enqueued("b", True)
    stats = await bench.stats()
    assert (stats.waiting, stats.delayed) == (1, 1)


async def test_a_retry_of_a_debounced_task_is_not_replaced(bench: Bench) -> None:
    await bench.register("w")
    await send(bench, "a", DEBOUNCE, b'{"n":1}')
    await bench.clock.advance(10_001)
    await bench.run(bench.broker.promote())
    [held] = await bench.fetch("w", 10)
    await bench.run(bench.broker.retry("w", held.id, held.token, delay_ms=60_000))

    assert await send(bench, "b", DEBOUNCE, b'{"n":2}') == Enqueued("b", True)
    first = await bench.run(bench.inspector.get("a"))
    assert first is not None
    assert first.args == b'{"n":1}'


async def test_debounced_ones_of_a_batch_become_one(bench: Bench) -> None:
    tasks = [NewTask(id, "echo", b'"%s"' % id.encode(), unique="k", terms=DEBOUNCE) for id in ("a", "b", "c")]

    assert await bench.run(bench.broker.enqueue(tasks)) == [Enqueued("a", i == 0) for i in range(3)]
    [task] = (await bench.run(bench.inspector.page(TaskState.DELAYED))).tasks
    assert (task.id, task.args) == ("a", b'"c"')


async def test_a_debounced_enqueue_does_not_touch_a_task_that_holds_the_key_until_it_is_done(bench: Bench) -> None:
    await send(bench, "a", b"", b'{"n":1}', delay_ms=60_000)

    assert await send(bench, "b", DEBOUNCE, b'{"n":2}') == Enqueued("a", False)
    first = await bench.run(bench.inspector.get("a"))
    assert first is not None
    assert first.args == b'{"n":1}'


async def test_a_plain_unique_task_is_kept_out_by_a_debounced_one(bench: Bench) -> None:
    await send(bench, "a", DEBOUNCE)

    assert await send(bench, "b", b"") == Enqueued("a", False)
