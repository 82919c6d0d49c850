"""Django's own test cases, with a Tester: `python manage.py test`. No Redis."""

from __future__ import annotations

import time

from django.core import mail
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from djangoshop.models import Order
from djangoshop.tasks import mark_regulars, queue, send_receipt
from ferryman import InvalidTask
from ferryman.testing import Tester

ORDER = {"email": "ada@example.com", "cents": "1250"}


class PlacingOrders(TestCase):
    def setUp(self) -> None:
        self.ferryman = self.enterContext(Tester())

    def test_a_committed_order_gets_its_receipt(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            response = self.client.post("/orders", ORDER)
        [task] = self.ferryman.enqueued(send_receipt)
        self.assertTrue(task.called_with(response.json()["order"]))

        self.ferryman.run_until_idle_sync()
        self.assertEqual(mail.outbox[0].to, ["ada@example.com"])
        self.assertEqual(Order.objects.get().receipt, task.id)

    def test_an_order_that_is_rolled_back_enqueues_nothing(self) -> None:
        with self.captureOnCommitCallbacks(execute=True), self.assertRaisesMessage(ValueError, "nobody pays"):
            self.client.post("/orders", {**ORDER, "cents": "1000001"})
        self.assertEqual(self.ferryman.enqueued(), [])
        self.assertFalse(Order.objects.exists())

    def test_a_second_delivery_sends_no_second_receipt(self) -> None:
        order = Order.objects.create(email="ada@example.com", cents=1)
        for _ in range(2):
            send_receipt.enqueue_sync(order.pk)
        self.ferryman.run_until_idle_sync()
        self.assertEqual(len(mail.outbox), 1)

    def test_an_order_that_is_gone_is_dead_at_once(self) -> None:
        send_receipt.enqueue_sync(4711)
        self.ferryman.run_until_idle_sync()
        [dead] = self.ferryman.dead(send_receipt)
        self.assertIn("DoesNotExist", dead.error)

    def test_a_coroutine_sees_what_the_test_has_not_committed(self) -> None:
        for _ in range(2):
            Order.objects.create(email="ada@example.com", cents=1250)
        mark_regulars.enqueue_sync("ada@example.com")
        [run] = self.ferryman.run_until_idle_sync()
        self.assertEqual(run.outcome, "completed")
        self.assertEqual(Order.objects.filter(is_regular=True).count(), 2)

    def test_wrong_arguments_fail_in_the_request(self) -> None:
        with self.assertRaisesMessage(InvalidTask, "order_id"):
            queue.enqueue_sync("send_receipt", {"order_id": "seven"})


class CommittedOrders(TransactionTestCase):
    """Outside of a test's transaction, commits are real."""

    def setUp(self) -> None:
        self.ferryman = self.enterContext(Tester())

    def test_the_task_comes_with_the_commit_and_not_before(self) -> None:
        with transaction.atomic():
            self.client.post("/orders", ORDER)
            self.assertEqual(self.ferryman.enqueued(), [])
        self.assertEqual(len(self.ferryman.enqueued(send_receipt)), 1)

    def test_a_rollback_around_it_enqueues_nothing(self) -> None:
        with self.assertRaises(ZeroDivisionError), transaction.atomic():
            self.client.post("/orders", ORDER)
            raise ZeroDivisionError
        self.assertEqual(self.ferryman.enqueued(), [])

    def test_a_handler_starts_with_no_connection_that_is_too_old(self) -> None:
        order = Order.objects.create(email="ada@example.com", cents=1)
        old = connection.connection
        connection.close_at = time.monotonic() - 1  # CONN_MAX_AGE has passed
        send_receipt.enqueue_sync(order.pk)
        [run] = self.ferryman.run_until_idle_sync()
        self.assertEqual(run.outcome, "completed")
        self.assertIsNot(connection.connection, old)
