"""Links: scripts are loaded when the server lacks them, errors keep their meaning, pipelines keep their order."""

from __future__ import annotations

import pytest
from ferryman_bench import Bench

from ferryman.broker import Broker
from ferryman.call import command
from ferryman.errors import BrokerRefused, BrokerUnavailable, QueueFull
from ferryman.inspector import Inspector
from ferryman.link import Link, SyncLink
from ferryman.new_task import NewTask
from ferryman.refusals import translate
from ferryman.wire import NotAdmitted, Refusal

FLUSH = command("SCRIPT", "FLUSH", read=bool)


async def test_a_single_call_survives_a_script_flush(bench: Bench) -> None:
    await bench.enqueue("a")
    await bench.run(FLUSH)

    await bench.enqueue("b")
    assert (await bench.stats()).waiting == 2


async def test_a_pipeline_survives_a_script_flush(bench: Bench) -> None:
    await bench.enqueue("a")
    await bench.run(FLUSH)

    calls = [bench.broker.enqueue([NewTask("b", "echo", b"{}")]), bench.inspector.stats(), bench.broker.promote()]
    created, stats, promoted = await bench.link.run_all(calls)

    assert created[0].created
    assert stats.waiting == 2
    assert promoted.count == 0


async def test_lost_scripts_cost_one_more_round_trip_however_many_calls_miss_them(redis_url: str) -> None:
    """A screen of 60 queues, or an operator's pass over 500, after Redis was restarted."""
    link = Link.from_url(redis_url)
    await link.run(Inspector("emails").stats())
    await link.run(FLUSH)
    trips: list[float] = []
    link.watch = trips.append

    figures = await link.run_all([Inspector(f"queue-{n}").stats() for n in range(60)])

    assert [one.queue for one in figures] == [f"queue-{n}" for n in range(60)]
    assert len(trips) == 2
    await link.run(FLUSH)  # the next test's calls must not find some of their scripts only
    await link.close()


async def test_whoever_watches_is_told_of_answered_round_trips_and_of_no_others(redis_url: str) -> None:
    stats = Inspector("emails").stats()
    link, blocking, nobody = (
        Link.from_url(redis_url),
        SyncLink.from_url(redis_url),
        SyncLink.from_url("redis://127.0.0.1:1"),
    )
    told: dict[str, list[float]] = {"link": [], "blocking": [], "nobody": []}
    for name, one in (("link", link), ("blocking", blocking), ("nobody", nobody)):
        one.watch = told[name].append
    await link.run(stats)
    blocking.run(stats)
    told["link"].clear()  # a link's first calls may have learned of the server, and loaded scripts
    told["blocking"].clear()

    await link.run(stats)
    await link.run_all([stats] * 3)
    blocking.run(stats)
    blocking.run_all([stats] * 3)
    with pytest.raises(BrokerUnavailable):
        nobody.run(stats)

    assert {name: len(seconds) for name, seconds in told.items()} == {"link": 2, "blocking": 2, "nobody": 0}
    assert all(0 < seconds < 60 for seconds in (*told["link"], *told["blocking"]))
    await link.run(FLUSH)  # the next test's calls must not find some of their scripts only
    await link.close()
    blocking.close()


async def test_a_call_that_is_refused_does_not_take_its_neighbours_along(bench: Bench) -> None:
    other = Broker("other")
    await bench.write("SET", other.keys.waiting, "no list")
    task = NewTask("t", "echo", b"{}")

    first, refused, last = await bench.link.run_all(
        [bench.broker.enqueue([task]), other.enqueue([task]), bench.inspector.stats()]
    )

    assert first[0].created
    assert isinstance(refused, BrokerRefused)
    assert last.waiting == 1


async def test_an_empty_pipeline_says_nothing(bench: Bench) -> None:
    assert await bench.link.run_all([]) == []


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (Refusal("OOM command not allowed when used memory > 'maxmemory'."), QueueFull),
        (Refusal("OOM allow-oom flag is not set on the script"), QueueFull),
        (NotAdmitted("WRONGPASS invalid username-password pair"), BrokerUnavailable),
        (Refusal("NOAUTH Authentication required."), BrokerUnavailable),
        (Refusal("READONLY You can't write against a read only replica."), BrokerUnavailable),
        (Refusal("LOADING Redis is loading the dataset in memory"), BrokerUnavailable),
        (Refusal("ERR max number of clients reached"), BrokerUnavailable),
        (Refusal("MISCONF Redis is configured to save RDB snapshots"), BrokerUnavailable),
        (Refusal("NOREPLICAS Not enough good replicas to write."), BrokerUnavailable),
        (Refusal("BUSY Redis is busy running a script."), BrokerUnavailable),
        (Refusal("BUSYKEY Target key name already exists."), BrokerRefused),
        (Refusal("REFUSED a counter in stats is no whole number"), BrokerRefused),
        (Refusal("WRONGTYPE Operation against a key"), BrokerRefused),
        (ConnectionRefusedError(111, "refused"), BrokerUnavailable),
        (TimeoutError("no reply within 10 s"), BrokerUnavailable),
    ],
)
def test_errors_keep_their_meaning(error: Exception, meaning: type[Exception]) -> None:
    told = translate(error, "example.test:6380/2")

    assert type(told) is meaning
    assert "example.test:6380/2" in str(told)


async def test_nobody_there_is_unavailable() -> None:
    link = Link.from_url("redis://127.0.0.1:1/0")
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1/0 does not answer"):
        await link.run(Inspector("q").stats())
    with pytest.raises(BrokerUnavailable):
        await link.run_all([Inspector("q").stats()] * 2)
    await link.close()


def test_the_blocking_link_says_the_same(redis_url: str) -> None:
    link, broker = SyncLink.from_url(redis_url, client_name="test"), Broker("q")
    link.run(FLUSH)
    [reply, stats] = link.run_all([broker.enqueue([NewTask("t", "echo", b"{}")]), Inspector("q").stats()])
    link.run(FLUSH)

    assert reply[0].created
    assert stats.waiting == 1
    assert link.run(Inspector("q").stats()).waiting == 1
    link.close()


def test_the_blocking_link_without_a_server_is_unavailable() -> None:
    link = SyncLink.from_url("redis://127.0.0.1:1/0")
    with pytest.raises(BrokerUnavailable):
        link.run(Inspector("q").stats())
    link.close()
