"""The web side: requests in, tasks out. No task is run here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from ferryman import TaskState
from ferryman.testing import Tester
from shop import tasks
from shop.orders import Line, Order
from shop.web import app

ORDER: dict[str, Any] = {"number": 7, "email": "ada@example.com", "cents": 1250, "lines": [{"sku": "tea", "count": 2}]}


@pytest.fixture
async def web() -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://shop") as client:
        yield client


async def test_an_order_becomes_a_payment_and_an_invoice(web: AsyncClient, ferryman: Tester) -> None:
    response = await web.post("/orders", json=ORDER)
    assert response.status_code == 202
    [payment] = ferryman.enqueued(tasks.charge)
    assert payment.id == response.json()["task"]
    assert payment.called_with(Order(7, "ada@example.com", 1250, (Line("tea", 2),)))
    [rendering] = ferryman.enqueued(tasks.render_invoice)
    [sending] = ferryman.enqueued(tasks.send_invoice)
    assert (rendering.state, sending.state) == (TaskState.WAITING, TaskState.BLOCKED)


async def test_a_request_that_is_sent_twice_is_one_payment(web: AsyncClient, ferryman: Tester) -> None:
    headers = {"Idempotency-Key": "request-1"}
    first = (await web.post("/orders", json=ORDER, headers=headers)).json()
    second = (await web.post("/orders", json=ORDER, headers=headers)).json()
    assert first == {"task": "request-1", "created": True}
    assert second == {"task": "request-1", "created": False}
    assert len(ferryman.enqueued(tasks.charge)) == 1
    assert len(ferryman.enqueued(tasks.render_invoice)) == 1


async def test_a_refund_has_priority_and_is_asked_for_once(web: AsyncClient, ferryman: Tester) -> None:
    for _ in range(2):
        assert (await web.post("/orders/7/refund", params={"cents": 1250})).status_code == 202
    [refund] = ferryman.enqueued(tasks.refund)
    assert (refund.priority, refund.unique) == (10, "refund:7")


async def test_a_bad_order_makes_no_task(web: AsyncClient, ferryman: Tester) -> None:
    assert (await web.post("/orders", json={**ORDER, "cents": "a lot"})).status_code == 422
    assert ferryman.enqueued() == []
