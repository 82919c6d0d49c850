"""The tasks. Arguments are keys, not objects: a row is read where it is used, as it is then.

Workers run `DJANGO_SETTINGS_MODULE=djangoshop.settings ferryman worker djangoshop --app ferryman.django.app`.
"""

from __future__ import annotations

from django.core.mail import send_mail

from djangoshop.models import Order
from ferryman import Context, Queue
from ferryman.django import FreshConnections

queue = Queue("djangoshop", middlewares=[FreshConnections()])


@queue.task(max_attempts=8, dead_letter_on=(Order.DoesNotExist,))
def send_receipt(ctx: Context[None], order_id: int) -> None:
    """A plain function, in a thread: Django's ORM and its mail block.

    At least once means perhaps twice, so it looks whether it has been here before.
    """
    order = Order.objects.get(pk=order_id)
    if order.receipt:
        return
    send_mail(f"Your order {order_id}", f"{order.cents / 100:.2f} EUR", None, [order.email])
    order.receipt = ctx.task_id
    order.save(update_fields=["receipt"])


@queue.task
async def mark_regulars(email: str) -> None:
    """A coroutine uses the ORM's own a-methods; Django takes those to a thread."""
    orders = Order.objects.filter(email=email)
    if await orders.acount() >= 2:
        await orders.aupdate(is_regular=True)
