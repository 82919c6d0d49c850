"""`ferryman workflow` and `ferryman show`: a workflow as people and programs see it."""

from __future__ import annotations

import json

from click.testing import CliRunner

from ferryman import Queue, Workflow, previous
from ferryman.cli.main import root


def saga(redis_url: str) -> Workflow:
    queue = Queue("orders", redis_url=redis_url)

    @queue.task
    def pay(amount: int) -> str:
        return str(amount)

    flow = Workflow("order-42")
    paid = flow.add(pay.task(1), name="pay", compensate=pay.task(previous))
    flow.add(pay.task(paid.result), name="ship")
    return flow


def ferryman(redis_url: str, *words: str) -> str:
    result = CliRunner().invoke(root, [*words, "--redis", redis_url])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_workflow_on_the_command_line(redis_url: str) -> None:
    saga(redis_url).enqueue_sync()
    lines = ferryman(redis_url, "workflow", "orders", "order-42").splitlines()
    assert lines[0] == "order-42  running"
    assert [line.split()[:3] for line in lines[2:]] == [["pay", "pay", "waiting"], ["ship", "pay", "blocked"]]
    seen = json.loads(ferryman(redis_url, "workflow", "orders", "order-42", "--json"))
    assert [(node["name"], node["after"], node["compensate"]) for node in seen["nodes"]] == [
        ("pay", [], "pay"),
        ("ship", ["pay"], None),
    ]
    shown = ferryman(redis_url, "show", "orders", "order-42:ship")
    assert "other nodes of workflow order-42" in shown
    assert "before it" in shown
    assert CliRunner().invoke(root, ["workflow", "orders", "nope", "--redis", redis_url]).exit_code == 1
    assert CliRunner().invoke(root, ["workflow", "orders", "a:b", "--redis", redis_url]).exit_code == 2
