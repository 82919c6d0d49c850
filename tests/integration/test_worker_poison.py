"""Tasks that kill, that nobody knows, or that cannot be read: each ends where a person sees it, and alone."""

from __future__ import annotations

import json
import signal

import pytest
from ferryman_yard.yard import Yard


async def test_a_poison_pill_among_a_thousand_ends_in_dead_with_evidence_and_no_neighbour_does(yard: Yard) -> None:
    ids = [f"t{i}" for i in range(1_000)]
    nap = '{"seconds": 0.02}'
    await yard.enqueue(*ids[:300], name="nap", args=nap)
    await yard.enqueue("pill", name="pill")
    await yard.enqueue(*ids[300:], name="nap", args=nap)
    async with yard.recoverer(), yard.kept_running("pod-1", "pod-2"):
        await yard.until_stats(completed=1_000, dead=1, active=0, patience_s=200)

    pill = await yard.task("pill")
    assert (pill.state, pill.crashes, pill.attempt) == ("dead", 3, 0)
    assert "its worker died 3 times" in pill.error
    evidence = [json.loads(line) for line in pill.evidence]
    assert [crash["held"] for crash in evidence] == [1, 1, 1]
    assert all("its process ended" in crash["reason"] for crash in evidence)
    assert all(crash["pod"] and crash["worker"].startswith("pod-") for crash in evidence)
    assert len({crash["worker"] for crash in evidence}) == 3
    moments = [int(crash["at_ms"]) for crash in evidence]
    assert moments == sorted(moments)
    assert len([id for id, _ in yard.lines("start") if id == "pill"]) <= 5, "two deaths in company, three alone"
    assert {words[0] for words in yard.lines("end")} == set(ids)
    assert (await yard.bench.stats()).discarded == 0


async def test_a_name_of_the_next_release_is_parked_until_a_worker_of_it_is_there(yard: Yard) -> None:
    old = await yard.worker()
    await yard.enqueue("a", name="newer")
    await yard.until_stats(parked=1, delayed=1, active=0)
    assert (await yard.task("a")).attempt == 0

    await yard.worker(YARD_APP_VERSION="2")
    old.signal(signal.SIGTERM)
    assert await yard.exit_code(old) == 0
    async with yard.recoverer():
        await yard.bench.clock.advance(5_000)
        await yard.until_stats(completed=1, parked=0, delayed=0)
    assert yard.lines("newer") == [["a"]]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ('{"number": ', "truncated"),
        ("[1]", "Expected `object`"),
        ('{"number": "many"}', "number"),
        ("{}", "number"),
        ('{"number": 1, "colour": "red"}', "colour"),
    ],
)
async def test_arguments_that_cannot_be_read_are_dead_at_once_and_say_why(yard: Yard, args: str, said: str) -> None:
    worker = await yard.worker()
    await yard.enqueue("bad", name="typed", args=args)
    await yard.enqueue("good", name="typed", args='{"number": 7}')
    await yard.until_stats(completed=1, dead=1, active=0)

    task = await yard.task("bad")
    assert said in task.error
    assert task.crashes == 0
    assert yard.lines("typed") == [["good", "7"]]
    assert worker.running


async def test_a_payload_over_the_limit_that_got_in_all_the_same_ends_and_stops_nobody(yard: Yard) -> None:
    """The limit is kept by producers; one that goes around it must not cost a worker."""
    worker = await yard.worker()
    await yard.enqueue("small", name="typed", args='{"number": 1}')
    await yard.until_stats(completed=1)
    await yard.bench.run(yard.bench.policy.hold(True))
    await yard.enqueue("huge", name="typed", args='{"number": 1}')
    huge = '{"number": 1, "filling": "' + "x" * 20_000_000 + '"}'
    await yard.bench.write("HSET", yard.bench.keys.task + "huge", "args", huge)
    await yard.bench.run(yard.bench.policy.hold(False))
    await yard.until_stats(completed=1, dead=1, active=0)
    assert "filling" in (await yard.task("huge")).error
    assert len((await yard.task("huge")).error) < 5_000
    assert worker.running
