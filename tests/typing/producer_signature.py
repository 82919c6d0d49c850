"""What checkers see of the public API. Not run: checked by `mypy --strict` and by pyright.

A line that must be an error ends in `type: ignore[code]`; both checkers complain about one that is not needed, so
this file passes only when wrong calls are errors and right ones are not.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, assert_type

from ferryman import Cancellation, Context, Enqueued, Queue, Retry, TaskRef, WorkItem, context


class Deps:
    def __init__(self, db: str) -> None:
        self.db = db


class FakeDeps(Deps): ...


@asynccontextmanager
async def lifespan() -> AsyncGenerator[Deps]:
    yield Deps("db")


emails = Queue("emails", lifespan=lifespan)


@emails.task(max_attempts=5, timeout="30s", dead_letter_on=(KeyError,))
async def send(ctx: Context[Deps], to: str, subject: str = "hi") -> int:
    if ctx.attempt > 1:
        raise Retry(delay="10s", spend=False)
    return len(ctx.deps.db)


@emails.task
async def bare(to: str, *, copies: int = 1) -> None: ...


@emails.task(run_in="process", name="crunch.numbers")
def crunch(numbers: list[int]) -> float:
    return sum(numbers) / len(numbers)


@emails.task
def nothing() -> None: ...


@emails.task
def echo(value: object, loud: bool = False) -> object:
    return value


@emails.task()
def tick(ctx: Context[None]) -> None: ...


async def producers_give_everything_but_the_context() -> None:
    assert_type(await (await send.enqueue("a@example.com", subject="hi")).result(timeout="10s"), int)
    by_hand: TaskRef[Coroutine[Any, Any, int]] = await send.enqueue(to="a@example.com")
    assert_type(await by_hand.result(), int)
    assert_type(send.enqueue_sync("a@example.com").result_sync(), int)
    assert_type(await (await crunch.enqueue([1])).result(), float)
    assert_type(await crunch.ref("task-1").result(), float)
    assert_type((await send.enqueue("a")).created, bool)
    assert_type(send.task("a@example.com"), WorkItem)
    assert_type(await emails.enqueue_many(send.task(to=to) for to in ("a", "b")), list[Enqueued])
    later = await send.options(delay="10s", priority=5, unique="hi:42", keep_result="1h", expires="1d").enqueue(to="a")
    assert_type(await later.result(), int)
    assert_type(await later.cancel(), Cancellation)
    assert_type(await (await emails.enqueue("elsewhere", {"to": "a"}, priority=3)).result(), Any)
    await bare.enqueue("a", copies=2)
    await crunch.enqueue([1, 2])
    await nothing.enqueue()
    await echo.enqueue(value=1, loud=True)
    await tick.enqueue()


async def wrong_calls_are_errors() -> None:
    await send.enqueue()  # type: ignore[call-arg]
    await send.enqueue(1)  # type: ignore[arg-type]
    await send.enqueue("a", subject=1)  # type: ignore[arg-type]
    await send.enqueue("a", "b", "c")  # type: ignore[call-arg]
    await send.enqueue("a", bcc="b")  # type: ignore[call-arg]
    await send.enqueue(context(Deps("db")), "a")  # type: ignore[arg-type]
    send.enqueue_sync(1)  # type: ignore[arg-type]
    send.task(1)  # type: ignore[arg-type]
    await send.options(delay="10s").enqueue(1)  # type: ignore[arg-type]
    send.options(delay="10s").enqueue_sync(1)  # type: ignore[arg-type]
    send.options(dealy="10s")  # type: ignore[call-arg]
    send.options(priority="high")  # type: ignore[arg-type]
    await bare.enqueue("a", 2)  # type: ignore[call-arg]
    await crunch.enqueue(["a"])  # type: ignore[list-item]
    await nothing.enqueue(1)  # type: ignore[call-arg]
    await echo.enqueue()  # type: ignore[call-arg]
    await echo.enqueue(1, loud="very")  # type: ignore[arg-type]
    await tick.enqueue(1)  # type: ignore[call-arg]
    await emails.enqueue("elsewhere", {"to": "a"}, dealy=3)  # type: ignore[call-arg]
    await emails.enqueue_many([send])  # type: ignore[list-item]
    emails.task(max_attempts="5")  # type: ignore[call-overload]
    emails.task(run_in="fiber")  # type: ignore[call-overload]


async def a_plain_call_is_the_function_itself() -> None:
    assert_type(await send(context(FakeDeps("fake")), "a", subject="hi"), int)
    assert_type(crunch([1]), float)
    call: Coroutine[Any, Any, None] = bare("a", copies=1)
    await call
    await send("a")  # type: ignore[arg-type, call-arg]
    await send(context(), "a")  # type: ignore[arg-type]
    await send(context(3), "a")  # type: ignore[arg-type]
    crunch("numbers")  # type: ignore[arg-type]
