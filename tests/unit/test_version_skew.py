"""Who can run what: manifests of several versions, the protocol's number, and what is said of those too far away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ferryman_bench import Bench
from ferryman_operator.backlog import Reading
from ferryman_operator.conditions import Findings, condition_of, conditions
from ferryman_operator.discord import discord
from ferryman_worker.outcome import PARKS_MAX, DeadLetter, Park, unfit, unknown_name
from ferryman_worker.versions import Able, able

from ferryman.call import command
from ferryman.errors import ProtocolMismatch
from ferryman.manifest import KnownVersion, Manifest, TaskManifest
from ferryman.protocol import PROTOCOL
from ferryman.workers import WorkerInfo, WorkerRow

_HOUR_MS = 3_600_000


def _schema(name: str, kind: str) -> dict[str, Any]:
    properties = {name: {"type": kind}}
    return {"type": "object", "properties": properties, "required": [name], "additionalProperties": False}


NUMBER, TARGET = _schema("number", "integer"), _schema("target", "string")


def _known(schema: dict[str, Any], *, living: bool) -> KnownVersion:
    return KnownVersion(TaskManifest("move", schema), living)


@pytest.mark.parametrize(
    ("known", "own", "args", "expected"),
    [
        ([], None, b"{}", Able.NONE),
        ([(NUMBER, True)], None, b"{}", Able.LIVING),
        ([(NUMBER, False)], None, b"{}", Able.OF_LATE),
        ([(NUMBER, True)], NUMBER, b'{"number": "x"}', Able.NONE),  # its own words are no other version
        ([(NUMBER, True), (TARGET, True)], NUMBER, b'{"target": "x"}', Able.LIVING),
        ([(NUMBER, True), (TARGET, False)], NUMBER, b'{"target": "x"}', Able.OF_LATE),
        ([(NUMBER, True), (TARGET, True)], NUMBER, b'{"colour": "x"}', Able.NONE),
        ([(NUMBER, True), (TARGET, True)], NUMBER, b'{"target": ', Able.NONE),
    ],
)
def test_those_are_able_whose_schema_the_arguments_fit(
    known: list[tuple[dict[str, Any], bool]], own: dict[str, Any] | None, args: bytes, expected: Able
) -> None:
    versions = [_known(schema, living=living) for schema, living in known]
    assert able(versions, own, args) is expected


def test_what_a_living_worker_can_run_comes_back_soon_and_is_not_counted() -> None:
    parks = [unknown_name("b", "q", PARKS_MAX, Able.LIVING, deliveries) for deliveries in (1, 2, 3, 99, 100_000)]
    assert [(park.delay_ms, park.counted) for park in parks if isinstance(park, Park)] == [
        (500, False),
        (1_000, False),
        (2_000, False),
        (10_000, False),
        (10_000, False),
    ]
    assert isinstance(unknown_name("b", "q", PARKS_MAX, Able.OF_LATE), DeadLetter)


def test_arguments_that_fit_nobody_are_not_parked_and_no_loop_is_endless() -> None:
    assert unfit("target: is unknown", 0, Able.NONE, 1) is None
    assert unfit("target: is unknown", PARKS_MAX, Able.OF_LATE, 50) is None
    counted, free = unfit("no", 0, Able.OF_LATE, 1), unfit("no", PARKS_MAX, Able.LIVING, 1)
    assert counted is not None
    assert counted.counted
    assert free is not None
    assert not free.counted
    assert unfit("no", PARKS_MAX, Able.LIVING, 1_000) is None


async def _register(bench: Bench, worker: str, schema: dict[str, Any]) -> None:
    info = WorkerInfo(worker, "", "", 15_000, 1_000, 1, "app", "1.0")
    await bench.run(bench.workers.register(info, Manifest("app", {"move": TaskManifest("move", schema)})))


async def _versions(bench: Bench) -> list[tuple[dict[str, Any], bool]]:
    return [(one.task.schema, one.living) for one in await bench.run(bench.inspector.versions("move"))]


async def test_versions_are_told_of_while_a_worker_lives_and_for_an_hour_after_it_came(bench: Bench) -> None:
    await _register(bench, "old", NUMBER)
    await _register(bench, "new", TARGET)
    found = await _versions(bench)
    assert (NUMBER, True) in found
    assert (TARGET, True) in found
    assert len(found) == 2
    assert await bench.run(bench.inspector.versions("other")) == []

    await bench.run(bench.workers.unregister("new"))
    found = await _versions(bench)
    assert (TARGET, False) in found
    long_ago = (await bench.stats()).now_ms - _HOUR_MS - 1
    for field in await bench.run(command("HKEYS", bench.keys.versions, read=list)):
        if b":" not in field:
            await bench.write("HSET", bench.keys.versions, field.decode(), long_ago)
    await _register(bench, "old-2", NUMBER)
    assert await _versions(bench) == [(NUMBER, True)]
    third = _schema("third", "integer")
    await _register(bench, "third", third)
    fields = await bench.run(command("HKEYS", bench.keys.versions, read=list))
    assert len(fields) == 4, "a version that is gone is forgotten when the next one comes"


async def test_the_number_in_redis_follows_the_scheduler_upwards_one_step_at_a_time(bench: Bench) -> None:
    assert await bench.run(bench.workers.speak()) == 0
    await bench.write("HSET", bench.keys.config, "protocol", PROTOCOL - 1)
    await bench.register("w")
    assert await bench.run(bench.workers.speak()) == PROTOCOL
    assert (await bench.stats()).protocol == PROTOCOL

    await bench.write("HSET", bench.keys.config, "protocol", PROTOCOL + 1)
    assert await bench.run(bench.workers.speak()) == PROTOCOL + 1, "it is never lowered"
    await bench.write("HSET", bench.keys.config, "protocol", PROTOCOL - 1)
    await bench.write("HSET", bench.keys.worker("w"), "protocol", PROTOCOL - 2)
    async with bench.changes() as changes:
        with pytest.raises(ProtocolMismatch, match="by a registered worker: upgrade the worker image to protocol"):
            await bench.run(bench.workers.speak())
    await bench.write("HSET", bench.keys.config, "protocol", PROTOCOL + 2)
    with pytest.raises(ProtocolMismatch, match="upgrade this process"):
        await bench.run(bench.workers.speak())
    assert changes == {}


@pytest.mark.parametrize(
    ("protocol", "workers", "refused", "reason", "said"),
    [
        (0, (), 0, None, ""),
        (3, (3, 4, 2, 0), 0, None, ""),
        (4, (4,), 0, None, ""),
        (5, (5,), 0, "ChartTooOld", "upgrade the chart to protocol 4"),
        (1, (), 0, "DataTooOld", "install the release of the chart that speaks 2 first"),
        (2, (2, 1), 0, "WorkersTooOld", "upgrade spec.worker.image to 2"),
        (3, (3,), 5, "ChartTooOld", "upgrade the chart to protocol 4"),
        (3, (3,), 1, "WorkersTooOld", "upgrade spec.worker.image to protocol 2"),
        (3, (3,), 4, None, ""),
    ],
)
async def test_the_condition_says_what_to_upgrade(
    bench: Bench, protocol: int, workers: tuple[int, ...], refused: int, reason: str | None, said: str
) -> None:
    stats = replace(await bench.stats(), protocol=protocol, refused_protocol=refused)
    rows = [WorkerRow(f"w{n}", 1, 0, f"pod-{n}", 1, False, 0, "app", "0.1", 1, 1, n) for n in workers]
    found = discord(Reading(stats, rows, None, 0.0), ours=3)
    assert (found[0] if found else None) == reason
    agreed = condition_of({"conditions": conditions(Findings(1, discord=found))}, "ProtocolAgreed")
    assert agreed["status"] == ("False" if reason else "Unknown")
    assert said in agreed["message"]
