"""The shop's web side: it accepts orders, and leaves the work to tasks.

uvicorn shop.web:app
"""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, PositiveInt

from ferryman import BrokerError, Enqueued, chain, previous
from shop.orders import Order
from shop.tasks import charge, refund, render_invoice, send_invoice

app = FastAPI(title="Shop")


class Accepted(BaseModel):
    """`task` is the id to ask for; `created` is false when the same request came before."""

    task: str
    created: bool


@app.post("/orders", status_code=202)
async def place_order(order: Order, idempotency_key: Annotated[str | None, Header()] = None) -> Accepted:
    """The customer's idempotency key becomes the task's id, so a request that is sent twice is one task.

    The invoice is a workflow: rendered, then sent. Its id makes it one per order.
    """
    sender = charge.options(id=idempotency_key) if idempotency_key else charge
    try:
        accepted = await sender.enqueue(order)
        invoice = (render_invoice.task(order), send_invoice.task(order.email, text=previous))
        await chain(*invoice, id=f"invoice-{order.number}").enqueue()
    except BrokerError as error:
        raise HTTPException(503, "try again in a moment") from error
    return _answer(accepted)


@app.post("/orders/{number}/refund", status_code=202)
async def give_back(number: PositiveInt, cents: PositiveInt) -> Accepted:
    """Refunds overtake everything that waits, and there is one per order at a time."""
    return _answer(await refund.options(priority=10, unique=f"refund:{number}").enqueue(number, cents))


def _answer(accepted: Enqueued) -> Accepted:
    return Accepted(task=accepted.id, created=accepted.created)
