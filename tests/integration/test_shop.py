"""The sample project's tasks in real workers: the same code that its own tests run on a fake Redis."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path

import pytest
from ferryman_yard.programs import Start

from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link

_SHOP = Path(__file__).parents[2] / "examples/shop"
_PATIENCE_S = 60
_ORDER = {"number": 7, "email": "ada@example.com", "cents": 1250, "lines": [{"sku": "tea", "count": 2}]}


class Shop:
    """One of the shop's queues, and a worker that serves it."""

    def __init__(self, start: Start, link: Link, env: dict[str, str], queue: str, app: str) -> None:
        self._start = start
        self._link = link
        self._env = env
        self._queue = queue
        self._app = app

    async def open(self) -> None:
        """Starts a worker."""
        await self._start("worker", self._queue, "--app", self._app, **self._env)

    async def enqueue(self, task: str, args: dict[str, object]) -> None:
        """As a person would."""
        words = ("enqueue", self._queue, task, json.dumps(args))
        command = await self._start(*words, stdout=PIPE, stderr=PIPE, **self._env)
        _, complaint = await command.communicate()
        assert command.returncode == 0, complaint.decode()

    async def until(self, condition: Callable[[QueueStats], bool]) -> QueueStats:
        """The figures, as soon as they are like that."""
        async with asyncio.timeout(_PATIENCE_S):
            while not condition(figures := await self._link.run(Inspector(self._queue).stats())):
                await asyncio.sleep(0.05)
        return figures


@pytest.fixture
def env(redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "FERRYMAN_REDIS_URL": redis_url,
        "FERRYMAN_RUN_DIR": str(tmp_path),
        "FERRYMAN_TERMINATION_LOG": str(tmp_path / "termination-log"),
        "PYTHONPATH": str(_SHOP),
        "DJANGO_SETTINGS_MODULE": "djangoshop.settings",
        "SHOP_DATABASE": str(tmp_path / "shop.sqlite3"),
    }


async def test_an_order_goes_all_its_way_in_a_real_worker(start: Start, real_link: Link, env: dict[str, str]) -> None:
    shop = Shop(start, real_link, env, "shop", "shop.tasks")
    await shop.open()
    await shop.enqueue("charge", {"order": _ORDER})
    await shop.enqueue("render_invoice", {"order": _ORDER})
    figures = await shop.until(lambda seen: seen.completed == 5)  # charge, confirm, reserve, ship; and the invoice
    assert (figures.delayed, figures.dead, figures.failed, figures.unaccounted) == (1, 0, 0, 0)  # track, tomorrow


async def test_a_django_handler_finds_its_row_in_a_real_worker(
    start: Start, real_link: Link, env: dict[str, str]
) -> None:
    def django(program: str) -> str:
        words = [sys.executable, "-c", f"import django\ndjango.setup()\n{program}"]
        return subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, check=True).stdout

    shop = Shop(start, real_link, env, "djangoshop", "ferryman.django.app")
    django("from django.core.management import call_command\ncall_command('migrate', run_syncdb=True, verbosity=0)")
    orders = "from djangoshop.models import Order\n"
    django(orders + "Order.objects.create(pk=1, email='ada@example.com', cents=1)")
    await shop.open()
    await shop.enqueue("send_receipt", {"order_id": 1})
    figures = await shop.until(lambda seen: seen.completed == 1)
    assert (figures.failed, figures.unaccounted) == (0, 0)
    assert len(django(orders + "print(Order.objects.get().receipt)").strip()) == 24
