"""examples/shop on the cluster, by its README: its image, its manifests, an order over HTTP, and all of its tasks."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ferryman_e2e.api import Api
from ferryman_e2e.forward import Forward
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.waiting import until

# Its queues have their names from the shop's code, so no second run may use the same Redis meanwhile.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.xdist_group("shop")]

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples/shop"

ALL = {
    *("ask_for_review", "charge", "confirm", "forecast", "newsletter.send", "newsletter.start"),
    *("refund", "render_invoice", "reserve", "send_invoice", "ship", "track"),
}


class Shop:
    """The shop in a namespace of its own, as a person sees it."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self._forwards: dict[str, Forward] = {}
        self._client = httpx.Client(timeout=20, trust_env=False)

    def apply(self, manifest: str) -> None:
        """A file of the example, as it is."""
        self.kubectl.run("apply", "-f", str(SHOP / manifest))

    def post(self, target: str, port: int, path: str, **more: Any) -> dict[str, Any]:
        """To a web side of the shop; the answer must be 202."""
        if target not in self._forwards:
            self._forwards[target] = Forward(self.kubectl, target, port)
        answer = self._client.post(self._forwards[target].url() + path, **more)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def ferryman(self, *words: str) -> str:
        """The command line, in the web side's pod, which has it and knows Redis."""
        return self.kubectl.run("exec", "deployment/shop-web", "--", "ferryman", *words)

    def figures(self, queue: str) -> dict[str, Any]:
        """`ferryman stats`."""
        return dict(json.loads(self.ferryman("stats", queue, "--json")))

    def completed(self, queue: str) -> list[dict[str, Any]]:
        """Those of the latest completed tasks, from newest on."""
        return list(json.loads(self.ferryman("tasks", queue, "--state", "completed", "--limit", "1000", "--json")))

    def close(self) -> None:
        self._client.close()
        for forward in self._forwards.values():
            forward.close()


@pytest.fixture(scope="module")
def image(installed: Kubectl) -> None:
    """Built from the example's Dockerfile on the worker image that the chart was installed with, and loaded."""
    for words in (("images/build", str(SHOP)), ("images/load", "shop")):
        done = subprocess.run(
            [str(ROOT / "hack" / words[0]), *words[1:]], cwd=ROOT, env=os.environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def shop(image: None, namespace: Kubectl, api: Api) -> Iterator[Shop]:
    """Its web side runs; its queues are empty."""
    shop = Shop(namespace)
    for queue in ("shop", "djangoshop"):
        api.reset(queue)  # what an earlier run left
    shop.apply("web.yaml")
    namespace.rollout("deployment/shop-web")
    yield shop
    shop.close()
    namespace.run("delete", "-f", str(SHOP / "web.yaml"))
    for queue in ("shop", "djangoshop"):
        api.reset(queue)


def test_an_order_over_http_sets_off_all_that_the_shop_does(shop: Shop) -> None:
    shop.apply("taskqueue.yaml")
    number = secrets.randbelow(1_000_000_000)
    order = {"number": number, "email": "ada@example.com", "cents": 1250, "lines": [{"sku": "tea", "count": 2}]}
    key = {"Idempotency-Key": f"e2e-{number}"}
    placed = [shop.post("service/shop-web", 80, "/orders", json=order, headers=key) for _ in range(2)]
    assert placed == [{"task": key["Idempotency-Key"], "created": made} for made in (True, False)]
    shop.post("service/shop-web", 80, f"/orders/{number}/refund", params={"cents": 1250})
    readers = [f"reader-{n}@{provider}" for provider in ("large.example", "small.example") for n in range(20)]
    shop.ferryman("enqueue", "shop", "newsletter.start", json.dumps({"subject": "Sale!", "readers": readers}))
    shop.ferryman("enqueue", "shop", "track", json.dumps({"number": number, "parcel": "parcel-7"}))
    shop.ferryman("enqueue", "shop", "ask_for_review", json.dumps({"number": number}))
    # The schedule of the manifest is for the night; a person moves it.
    soon = json.dumps({"spec": {"cron": None, "timeZone": None, "every": "5s"}})
    shop.kubectl.run("patch", "taskschedule", "forecast-tea", "--type=merge", "-p", soon)

    def mine() -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for task in shop.completed("shop"):
            if task["enqueued_at"] >= began:
                found.setdefault(task["task"], []).append(task)
        return found

    began = json.loads(shop.ferryman("show", "shop", key["Idempotency-Key"], "--json"))["enqueued_at"]
    done = until("all twelve kinds have run", mine, lambda found: set(found) >= ALL, timeout_s=180, every_s=1)
    figures = until(
        "nothing is left for now",
        lambda: shop.figures("shop"),
        lambda f: not (f["waiting"] or f["active"] or f["blocked"]),
        timeout_s=60,
    )
    print(shop.ferryman("stats", "shop"))
    print(shop.kubectl.run("get", "taskqueues,taskschedules,pods"))
    assert (figures["unaccounted"], figures["dead"]) == (0, 0)
    assert set(done) == ALL

    # The workflow: the invoice was rendered in a process, and then sent; the same order twice is one invoice.
    invoice = json.loads(shop.ferryman("workflow", "shop", f"invoice-{number}", "--json"))
    assert invoice["state"] == "completed"
    assert [node["task"] for node in invoice["nodes"]] == ["render_invoice", "send_invoice"]
    # The retry: this cluster's bank answers the second time.
    [payment] = [task for task in done["charge"] if task["id"] == key["Idempotency-Key"]]
    assert payment["attempt"] >= 1
    assert {confirmation["attempt"] for confirmation in done["confirm"]} == {0}
    # The lanes: one for each mail provider, from the handler.
    assert {task["lane"] for task in done["newsletter.send"]} >= {"large.example", "small.example"}
    # The schedule: fired by the scheduler, with the arguments of the manifest.
    assert any(re.fullmatch(r"forecast-tea:\S+Z", task["id"]) for task in done["forecast"])
    schedules = json.loads(shop.ferryman("schedules", "shop", "--json"))
    assert {one["name"] for one in schedules} >= {"forecast-tea", "newsletter.start"}


def test_the_django_variant_sends_its_receipt(shop: Shop) -> None:
    shop.apply("django.yaml")
    shop.kubectl.run("wait", "taskqueue/djangoshop", "--for=condition=Ready", "--timeout=90s")
    before = shop.figures("djangoshop")["completed"]
    worker = "deployment/djangoshop-worker"
    shop.kubectl.rollout(worker)
    placed = shop.post(worker, 8000, "/orders", data={"email": "ada@example.com", "cents": "1250"})
    shop.ferryman("enqueue", "djangoshop", "mark_regulars", '{"email": "ada@example.com"}')
    figures = until(
        "both tasks have run",
        lambda: shop.figures("djangoshop"),
        lambda f: f["completed"] == before + 2,
        timeout_s=60,
    )
    assert (figures["unaccounted"], figures["dead"]) == (0, 0)
    look = "import django; django.setup(); from djangoshop.models import Order; print(Order.objects.get().receipt)"
    receipt = shop.kubectl.run("exec", worker, "-c", "worker", "--", "python", "-c", look).strip()
    [sent] = [task for task in shop.completed("djangoshop") if task["id"] == receipt]
    assert (sent["task"], placed) == ("send_receipt", {"order": 1})
