"""Where orders come in."""

from __future__ import annotations

from functools import partial

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from djangoshop.models import Order
from djangoshop.tasks import send_receipt


@csrf_exempt  # an example without a login
def place_order(request: HttpRequest) -> JsonResponse:
    """The task is enqueued when the order is committed, and not at all when it is rolled back.

    Without `on_commit` a worker may be faster than the commit, and find no order.
    """
    with transaction.atomic():
        order = Order.objects.create(email=request.POST["email"], cents=int(request.POST["cents"]))
        transaction.on_commit(partial(send_receipt.enqueue_sync, order.pk))
        if order.cents > 1_000_000:
            raise ValueError("nobody pays that much")
    return JsonResponse({"order": order.pk}, status=202)
