"""The shop's tasks: each test enqueues, lets a worker run, and looks at what came of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ferryman import InvalidTask, chain, context, previous
from ferryman.testing import Tester
from shop import tasks
from shop.orders import Line, Order
from shop.outside import CardDeclined
from tests.fakes import World

ORDER = Order(7, "ada@example.com", 1250, (Line("tea", 2),))


async def test_a_paid_order_is_confirmed_reserved_and_shipped(ferryman: Tester, world: World) -> None:
    world.stock.pieces = {"tea": 5}
    await tasks.charge.enqueue(ORDER)
    runs = await ferryman.run_until_idle()
    assert [run.task for run in runs] == ["charge", "reserve", "confirm", "ship"]
    assert {run.outcome for run in runs} == {"completed"}
    assert list(world.bank.payments.values()) == [1250]
    assert list(world.mail.sent.values()) == [("ada@example.com", "Your order 7")]
    assert world.stock.pieces == {"tea": 3}


async def test_a_bank_that_does_not_answer_is_asked_again_and_charges_once(ferryman: Tester, world: World) -> None:
    world.bank.problems = [TimeoutError(), TimeoutError()]
    accepted = await tasks.charge.enqueue(ORDER)

    [first] = await ferryman.run_until_idle()
    assert first.outcome == "retried"
    assert first.delay_s
    assert 5 <= first.delay_s <= 10  # half of the backoff is drawn by lot

    runs = await ferryman.run_until_empty()
    assert [run.outcome for run in runs if run.task == "charge"] == ["retried", "completed"]
    assert world.bank.payments == {accepted.id: 1250}


async def test_a_declined_card_is_not_asked_again(ferryman: Tester, world: World) -> None:
    world.bank.problems = [CardDeclined("insufficient funds")]
    await tasks.charge.enqueue(ORDER)
    await ferryman.run_until_idle()
    [dead] = ferryman.dead(tasks.charge)
    assert "CardDeclined: insufficient funds" in dead.error
    assert ferryman.enqueued(tasks.confirm) == []


async def test_what_is_out_of_stock_is_tried_three_times(ferryman: Tester, world: World) -> None:
    await tasks.reserve.enqueue(ORDER)
    runs = await ferryman.run_until_empty()
    assert [run.outcome for run in runs] == ["retried", "retried", "dead"]
    assert "attempt 3 of 3" in ferryman.dead(tasks.reserve)[0].error


async def test_a_closed_carrier_costs_no_attempt(ferryman: Tester, world: World) -> None:
    world.carrier.opens_in_s = 3600
    await tasks.ship.enqueue(7)
    await ferryman.run_until_idle()
    [waits] = ferryman.delayed(tasks.ship)
    assert waits.run_at == ferryman.now + timedelta(hours=1)
    assert waits.attempt == 0

    world.carrier.opens_in_s = 0
    ferryman.advance("1h")
    [run] = await ferryman.run_until_idle()
    assert run.outcome == "completed"
    assert ferryman.delayed(tasks.track)[0].called_with(7, "parcel-7")


async def test_a_parcel_is_looked_for_daily_and_then_a_review_is_asked_for_once(ferryman: Tester, world: World) -> None:
    began = ferryman.now
    world.carrier.delivered = [False, False]
    await tasks.track.enqueue(7, "parcel-7")
    await tasks.track.enqueue(7, "parcel-7")  # somebody pressed the button twice
    await ferryman.run_until_empty()
    assert len(ferryman.completed(tasks.ask_for_review)) == 1
    assert ferryman.now == began + timedelta(days=1 + 7)


async def test_an_invoice_is_rendered_and_sent(ferryman: Tester, world: World) -> None:
    await chain(tasks.render_invoice.task(ORDER), tasks.send_invoice.task(ORDER.email, text=previous)).enqueue()
    await ferryman.run_until_idle()
    [sending] = ferryman.completed(tasks.send_invoice)
    assert tasks.render_invoice(ORDER) == "Invoice 7\n   2 x tea\n12.50 EUR"
    assert world.mail.sent == {sending.id: ("ada@example.com", "Invoice 7")}


async def test_an_invoice_that_takes_too_long_is_tried_again(ferryman: Tester, world: World) -> None:
    await tasks.render_invoice.enqueue(ORDER)
    with ferryman.timing_out(tasks.render_invoice):
        [run] = await ferryman.run_until_idle()
    assert run.outcome == "retried"
    assert "longer than its timeout of 20 s" in run.error
    await ferryman.run_until_empty()
    assert len(ferryman.completed(tasks.render_invoice)) == 1


async def test_a_newsletter_is_a_task_for_each_reader(ferryman: Tester, world: World) -> None:
    readers = ["b@example.com", "c@example.com"]
    await tasks.start_newsletter.enqueue("Sale!", readers)
    await ferryman.run_until_idle()
    assert [task.args["reader"] for task in ferryman.completed(tasks.newsletter)] == readers
    assert [to for to, _ in world.mail.sent.values()] == readers


async def test_a_newsletter_that_is_begun_twice_is_sent_once(ferryman: Tester, world: World) -> None:
    for deliveries in (1, 2):  # as if its worker had died at the end
        begun = context(world.outside(), task_id="issue-7", deliveries=deliveries)
        await tasks.start_newsletter(begun, "Sale!", ["b@example.com"])
    assert len(ferryman.enqueued(tasks.newsletter)) == 1


async def test_the_newsletter_comes_on_thursdays(ferryman: Tester, world: World) -> None:
    await tasks.confirm.enqueue("ada@example.com", 7)
    ferryman.advance("7d")
    await ferryman.run_until_idle()
    [thursday] = ferryman.completed(tasks.start_newsletter)
    assert thursday.args == {}
    assert len(ferryman.completed(tasks.newsletter)) == 2


async def test_no_mail_provider_holds_up_the_readers_of_another(ferryman: Tester, world: World) -> None:
    readers = [f"reader-{n}@large.example" for n in range(30)]
    await tasks.start_newsletter.enqueue("Sale!", [*readers, "ada@small.example"])
    runs = await ferryman.run_until_idle()
    sent = [to for to, _ in world.mail.sent.values()]
    assert len(runs) == 1 + 31
    assert sent.index("ada@small.example") < 15


async def test_a_refund_overtakes_what_waits(ferryman: Tester, world: World) -> None:
    await tasks.confirm.enqueue("ada@example.com", 7)
    await tasks.refund.options(priority=10).enqueue(8, 1250)
    runs = await ferryman.run_until_idle()
    assert [run.task for run in runs] == ["refund", "confirm"]
    assert world.bank.payments == {"refund-8": -1250}


async def test_wrong_arguments_fail_where_they_are_enqueued(ferryman: Tester) -> None:
    with pytest.raises(InvalidTask, match="sold_per_day"):
        await tasks.queue.enqueue("forecast", {"sku": "tea", "sold_per_day": ["many"]})
    assert ferryman.enqueued() == []


async def test_a_forecast_of_nothing_is_dead_at_once(ferryman: Tester) -> None:
    await tasks.forecast.enqueue("tea", [])
    await tasks.forecast.enqueue("tea", [1, 3])
    runs = await ferryman.run_until_idle()
    assert [run.outcome for run in runs] == ["dead", "completed"]


async def test_a_handler_is_also_just_a_function() -> None:
    world = World()
    await tasks.confirm(context(world.outside(), task_id="t1"), "ada@example.com", 7)
    assert world.mail.sent == {"t1": ("ada@example.com", "Your order 7")}
    assert tasks.forecast("tea", [1, 2, 3]) == 2.0
