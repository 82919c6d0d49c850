"""What a real worker tells of its tasks: logs by task id, spans, reports, and of dead tasks; wherever handlers run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ferryman_yard.process import TOLD_APP, WorkerProcess
from ferryman_yard.yard import Yard

from ferryman.options import EnqueueOptions

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
HEADERS = EnqueueOptions.of(headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}).encoded

each_place = pytest.mark.parametrize("task", ["in_loop", "in_thread", "in_process"])


async def told(yard: Yard, **env: str) -> WorkerProcess:
    """A worker of the app that tells everything."""
    return await yard.worker(YARD_APP=str(TOLD_APP), FERRYMAN_LOG_FORMAT="json", **env)


def kept(yard: Yard, name: str, task_id: str = "") -> list[dict[str, Any]]:
    path = yard.directory / f"{name}.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [one for one in found if not task_id or one.get("task_id") == task_id]


def story(worker: WorkerProcess, task_id: str) -> list[dict[str, Any]]:
    """One grep."""
    return [json.loads(line) for line in worker.said().splitlines() if f'"{task_id}"' in line]


@each_place
async def test_one_grep_tells_the_story_of_a_task(yard: Yard, task: str) -> None:
    worker = await told(yard, FERRYMAN_LOG_TASKS="true")
    await yard.bench.enqueue("t1", name=task, args=b'{"fails": 1}', options=HEADERS)
    async with yard.recoverer():
        await yard.until_stats(completed=1)

    lines = story(worker, "t1")
    assert [(line["level"], line["message"].split(":")[0].split(" in ")[0]) for line in lines] == [
        ("info", f"{task} started"),
        ("info", "working"),
        ("warning", task),
        ("info", f"{task} started"),
        ("info", "working"),
        ("info", f"{task} completed"),
    ]
    assert "ValueError: attempt 1 failed; again in" in lines[2]["message"]
    assert [line["attempt"] for line in lines] == [1, 1, 1, 2, 2, 2]
    [registered] = (await yard.bench.snapshot())["workers"]
    for line in lines:
        assert (line["queue"], line["task"], line["worker"], line["trace_id"]) == ("bench", task, registered, TRACE)


async def test_a_task_that_goes_well_leaves_no_line_unless_somebody_asked(yard: Yard) -> None:
    worker = await told(yard)
    await yard.enqueue("t1", name="deadly")
    await yard.bench.enqueue("t2", name="in_loop", args=b"{}")
    await yard.until_stats(completed=1, dead=1)

    assert [line["message"] for line in story(worker, "t2")] == ["working"], "what the handler says, and nothing more"


@each_place
async def test_every_attempt_is_a_span_of_the_trace_that_the_task_came_with(yard: Yard, task: str) -> None:
    await told(yard)
    await yard.bench.enqueue("t1", name=task, args=b'{"fails": 1}', options=HEADERS)
    async with yard.recoverer():
        await yard.until(lambda: len(kept(yard, "spans")) == 2)

    first, second = kept(yard, "spans")
    for span, attempt, status in ((first, 1, "ERROR"), (second, 2, "UNSET")):
        assert (span["name"], span["kind"]) == ("process bench", "SpanKind.CONSUMER")
        assert (span["context"]["trace_id"], span["parent_id"]) == (f"0x{TRACE}", f"0x{PARENT}")
        assert [link["context"]["span_id"] for link in span["links"]] == [f"0x{PARENT}"]
        assert span["status"]["status_code"] == status
        assert span["attributes"]["ferryman.task.attempt"] == attempt
        assert span["attributes"]["messaging.message.id"] == "t1"
    assert first["attributes"]["error.type"] == "ValueError"


@each_place
async def test_what_a_task_raises_is_reported_and_its_death_is_told_once(yard: Yard, task: str) -> None:
    worker = await told(yard)
    await yard.enqueue("t1", name=task, args='{"fails": 9}')
    async with yard.recoverer():
        await yard.until(lambda: kept(yard, "dead"))
    worker.signal(15)
    await yard.exit_code(worker)

    assert [report["error"] for report in kept(yard, "reports")] == [f"attempt {n} failed" for n in (1, 2, 3)]
    assert kept(yard, "reports")[2]["tags"] == {
        "ferryman.queue": "bench",
        "ferryman.task": task,
        "ferryman.task_id": "t1",
        "ferryman.attempt": "3",
        "ferryman.last_attempt": "yes",
    }
    assert kept(yard, "dead") == [{"task_id": "t1", "attempt": 3, "error": "ValueError: attempt 3 failed"}]
    assert [one["step"] for one in kept(yard, "around")] == ["before", "after"] * 3


async def test_a_task_that_kills_its_process_is_told_of_when_its_budget_is_spent(yard: Yard) -> None:
    await told(yard)
    await yard.enqueue("t1", name="deadly")
    await yard.until(lambda: kept(yard, "dead"))

    [dead] = kept(yard, "dead")
    assert dead["error"].endswith("was killed by SIGKILL (out of memory?)")
    assert [one["step"] for one in kept(yard, "around")] == ["before"] * 3, "nobody is left in there to leave"
