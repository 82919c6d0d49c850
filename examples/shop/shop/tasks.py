"""The shop's tasks, one of each kind.

ferryman worker shop --app shop.tasks
"""

from __future__ import annotations

import statistics

from ferryman import Backoff, Context, Limits, Queue, Retry
from shop.orders import Order
from shop.outside import CardDeclined, CarrierClosed, OutOfStock, Outside, open_outside

#: Two letters at a time to one mail provider: see `newsletter`.
queue = Queue("shop", lifespan=open_outside, limits=Limits(lane_concurrency=2))

#: Gentle with a service that is down: 10 s, 20 s, 40 s, ... up to an hour.
PATIENT = Backoff(initial_s=10, factor=2, max_s=3600)


@queue.task(max_attempts=8, backoff=PATIENT, dead_letter_on=(CardDeclined,))
async def charge(ctx: Context[Outside], order: Order) -> None:
    """Takes the money, once: the task's id is the same on every attempt, so the bank knows a payment again.

    A bank that does not answer is asked again later; a card that was declined is not.
    """
    await ctx.deps.bank.charge(order.cents, key=ctx.task_id)
    await reserve.enqueue(order)
    await confirm.enqueue(order.email, order.number)


@queue.task
async def confirm(ctx: Context[Outside], email: str, number: int) -> None:
    """The letter that every customer gets."""
    await ctx.deps.mail.send(email, f"Your order {number}", key=ctx.task_id)


@queue.task(max_attempts=3, backoff=PATIENT)
def reserve(ctx: Context[Outside], order: Order) -> None:
    """A plain function: it runs in a thread, so it may block. `enqueue_sync` is for such places.

    Every line may be reserved again after a failure: the warehouse counts a line of an order once.
    """
    for line in order.lines:
        ctx.deps.stock.reserve(line)
    ship.enqueue_sync(order.number)


@queue.task
async def ship(ctx: Context[Outside], number: int) -> None:
    """A carrier that is closed is no failure: the task comes back when it opens, and no attempt is spent."""
    try:
        parcel = await ctx.deps.carrier.collect(number)
    except CarrierClosed as closed:
        raise Retry(delay=closed.opens_in_s, spend=False, reason=str(closed)) from closed
    await track.options(delay="1d").enqueue(number, parcel)


@queue.task(max_attempts=10)
async def track(ctx: Context[Outside], number: int, parcel: str) -> None:
    """Looks once a day, for ten days."""
    if not await ctx.deps.carrier.is_delivered(parcel):
        raise Retry(delay="1d", reason="still on its way")
    await ask_for_review.options(delay="7d", unique=f"review:{number}").enqueue(number)


@queue.task
async def ask_for_review(ctx: Context[Outside], number: int) -> None:
    """One per order, a week after delivery: the unique key keeps a second one away."""
    ctx.log.info("how was it?", extra={"order": number})


@queue.task(run_in="process", timeout="20s")
def render_invoice(order: Order) -> str:
    """Burns a CPU, so it gets a process of its own, which is killed when it takes too long.

    What it returns goes on to `send_invoice`: shop/web.py sends both as one workflow.
    """
    lines = "\n".join(f"{line.count:4} x {line.sku}" for line in order.lines)
    return f"Invoice {order.number}\n{lines}\n{order.cents / 100:.2f} EUR"


@queue.task(timeout="1m")
async def send_invoice(ctx: Context[Outside], email: str, text: str) -> None:
    """A coroutine under a timeout is cancelled when its time is up, and tried again."""
    await ctx.deps.mail.send(email, text.splitlines()[0], key=ctx.task_id)


@queue.task
async def refund(ctx: Context[Outside], number: int, cents: int) -> None:
    """Goes before everything else: whoever enqueues it gives it a priority."""
    await ctx.deps.bank.refund(cents, key=f"refund-{number}")


@queue.task(name="newsletter.start", cron="0 9 * * 4", tz="Europe/Berlin")
async def start_newsletter(
    ctx: Context[Outside], subject: str = "New this week", readers: list[str] | None = None
) -> None:
    """One task that makes many: each reader has a task, so one bad address holds nobody up.

    The scheduler enqueues it on Thursdays at nine, without arguments; a person may at any time, with some. Their ids
    are made of its own, so that a second run makes no second letter.
    """
    chosen = ctx.deps.mail.readers() if readers is None else readers
    letters = (newsletter.options(id=f"{ctx.task_id}.{n}").task(to, subject) for n, to in enumerate(chosen))
    await queue.enqueue_many(letters)


def provider(reader: str) -> str:
    """Who keeps the reader's mailbox: ada@example.com -> example.com."""
    return reader.rpartition("@")[2]


@queue.task(name="newsletter.send", max_attempts=2, lane=provider)
async def newsletter(ctx: Context[Outside], reader: str, subject: str) -> None:
    """A lane for each mail provider: they take turns, and none of them gets more than two letters at a time.

    A task's name in other languages and on the command line need not be its function's.
    """
    await ctx.deps.mail.send(reader, subject, key=ctx.task_id)


@queue.task(run_in="process", timeout="5m", max_attempts=1, dead_letter_on=(OutOfStock,))
def forecast(sku: str, sold_per_day: list[int]) -> float:
    """Plain arguments are checked, too: a list of texts is refused where it is enqueued."""
    if not sold_per_day:
        raise OutOfStock(f"{sku} was never sold")
    return statistics.fmean(sold_per_day)
