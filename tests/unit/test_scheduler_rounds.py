"""Rounds, roster, connection, health: how the scheduler keeps going."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ferryman_scheduler.chore import Visit
from ferryman_scheduler.connection import Connection
from ferryman_scheduler.health import Health
from ferryman_scheduler.metrics import Metrics
from ferryman_scheduler.roster import Roster
from ferryman_scheduler.rounds import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, QUEUES_AT_ONCE, Rounds
from ferryman_scheduler.settings import SchedulerSettings

from ferryman.call import command
from ferryman.cause import DEATHS, Cause
from ferryman.errors import BrokerRefused, BrokerUnavailable
from ferryman.keys import QUEUES
from ferryman.link import Link
from ferryman.settings import BadSetting, RedisSettings

URL = "redis://127.0.0.1:1/0"


class Script:
    """A chore that does what the test says, and remembers whom it visited."""

    name = "scripted"

    def __init__(self, act: Callable[[Visit, str], None]) -> None:
        self.act = act
        self.visited: list[list[str]] = []

    async def visit(self, link: Link, queues: Sequence[str]) -> Visit:
        self.visited.append(list(queues))
        visit = Visit()
        for queue in queues:
            self.act(visit, queue)
        return visit


class Watch:
    def __init__(self) -> None:
        self.passes = 0

    def passed(self, loop: str, duration_s: float) -> None:
        self.passes += 1


def pauses(pauses_s: dict[str, float]) -> Callable[[Visit, str], None]:
    def act(visit: Visit, queue: str) -> None:
        visit.pauses_s[queue] = pauses_s[queue]

    return act


def unavailable(visit: Visit, queue: str) -> None:
    raise BrokerUnavailable("nobody there")


def refused(visit: Visit, queue: str) -> None:
    visit.refusals[queue] = BrokerRefused("damaged")


@pytest.fixture
def connection() -> Connection:
    return Connection(lambda: RedisSettings(URL))


async def test_each_queue_has_its_turn_when_it_wants_it(connection: Connection) -> None:
    chore, watch = Script(pauses({"busy": 0.0, "idle": 60.0})), Watch()
    rounds = Rounds(chore, connection, lambda: ["busy", "idle"], watch)

    assert await rounds.round() == 0.0
    await rounds.round()

    assert chore.visited == [["busy", "idle"], ["busy"]]
    assert watch.passes == 2


async def test_turns_that_lie_close_together_share_a_round(connection: Connection) -> None:
    """A thousand idle queues must not make a thousand round trips."""
    names = [f"q{n}" for n in range(20)]
    chore = Script(pauses(dict.fromkeys(names, 0.0001)))

    assert await Rounds(chore, connection, lambda: names, Watch()).round() >= 0.02


async def test_a_new_queue_is_visited_in_the_next_round(connection: Connection) -> None:
    queues = ["a"]
    chore = Script(pauses({"a": 60.0, "b": 60.0}))
    rounds = Rounds(chore, connection, lambda: queues, Watch())
    await rounds.round()
    queues.append("b")
    await rounds.round()

    assert chore.visited == [["a"], ["b"]]


async def test_without_queues_a_round_only_waits(connection: Connection) -> None:
    chore, watch = Script(pauses({})), Watch()
    assert 0 < await Rounds(chore, connection, list, watch).round() <= 0.25
    assert (chore.visited, watch.passes) == ([], 0)


async def test_many_queues_go_in_groups(connection: Connection) -> None:
    names = [f"q{n}" for n in range(2 * QUEUES_AT_ONCE + 1)]
    chore = Script(pauses(dict.fromkeys(names, 1.0)))
    await Rounds(chore, connection, lambda: names, Watch()).round()

    assert [len(group) for group in chore.visited] == [QUEUES_AT_ONCE, QUEUES_AT_ONCE, 1]


async def test_redis_being_away_is_told_once_and_tried_again_with_growing_pauses(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    chore, watch = Script(unavailable), Watch()
    rounds = Rounds(chore, connection, lambda: ["q"], watch)
    with caplog.at_level(logging.INFO):
        sleeps = [await rounds.round() for _ in range(8)]
        chore.act = pauses({"q": 0.0})
        await rounds.round()

    assert 0.8 * FIRST_BACKOFF_S < sleeps[0] <= FIRST_BACKOFF_S
    assert 0.8 * LONGEST_BACKOFF_S < sleeps[-1] <= LONGEST_BACKOFF_S
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for Redis: nobody there",
        "Redis answers again",
    ]
    assert watch.passes == 1


async def test_a_refusal_is_told_once_and_slows_down_that_queue_alone(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    def act(visit: Visit, queue: str) -> None:
        (refused if queue == "bad" else pauses({"good": 0.0}))(visit, queue)

    chore = Script(act)
    rounds = Rounds(chore, connection, lambda: ["bad", "good"], Watch())
    await rounds.round()
    await rounds.round()

    assert chore.visited == [["bad", "good"], ["good"]]
    assert [record.getMessage() for record in caplog.records] == ["scripted was refused: damaged"]


async def test_a_mistake_does_not_end_the_loop_but_its_rounds_no_longer_count(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistake(visit: Visit, queue: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ferryman_scheduler.rounds.LONGEST_BACKOFF_S", 0.0)
    chore, stop = Script(mistake), asyncio.Event()
    rounds = Rounds(chore, connection, lambda: ["q"], Watch())
    started_at = rounds.turned_at

    loop = asyncio.create_task(rounds.run(stop))
    while len(chore.visited) < 3:
        await asyncio.sleep(0)
    stop.set()
    await loop

    assert rounds.turned_at == started_at
    assert "a round of scripted failed" in caplog.text


async def test_a_rotated_secret_is_read_again_after_a_failure() -> None:
    settings = RedisSettings(URL)
    connection = Connection(lambda: settings)
    old = connection.link
    await connection.lost(BrokerUnavailable("no"))
    assert connection.link is old

    settings = RedisSettings("redis://:new@127.0.0.1:1/0")
    await connection.lost(BrokerUnavailable("wrong password"))
    assert connection.link is not old


async def test_a_secret_that_cannot_be_read_leaves_the_old_link(caplog: pytest.LogCaptureFixture) -> None:
    answers = [RedisSettings(URL)]

    def read() -> RedisSettings:
        if not answers:
            raise BadSetting("FERRYMAN_REDIS_URL_FILE", "gone")
        return answers.pop()

    connection = Connection(read)
    old = connection.link
    await connection.renew()

    assert connection.link is old
    assert "cannot be read again" in caplog.text


async def test_the_roster_reads_the_known_queues_again(fake_link: Link, connection: Connection) -> None:
    connection.link = fake_link
    roster = Roster(connection)
    assert list(roster()) == []
    await fake_link.run(command("SADD", QUEUES, "b", "a", "no such NAME", read=int))
    await roster.refresh()

    assert list(roster()) == ["a", "b"]


async def test_given_queues_are_all_there_is(connection: Connection) -> None:
    roster = Roster(connection, ["b", "a", "b"])
    await roster.run(asyncio.Event())
    assert list(roster()) == ["b", "a"]


def health(stalled: list[str]) -> Health:
    return Health(lambda: stalled, lambda: b"metrics")


def test_health_follows_the_loops() -> None:
    assert health([]).respond("/livez")[0] == 200
    assert health([]).respond("/readyz")[0] == 200
    assert health([]).respond("/metrics")[2] == b"metrics"
    assert health([]).respond("/")[0] == 404
    status, _, body = health(["promote"]).respond("/livez")
    assert (status, body) == (503, b"no round ended lately: promote\n")


def test_a_stopping_scheduler_is_alive_and_not_ready() -> None:
    one = health([])
    one.stopping = True
    assert (one.respond("/livez")[0], one.respond("/readyz")[0]) == (200, 503)


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_health_speaks_http() -> None:
    server = await health([]).serve(0)
    port = server.sockets[0].getsockname()[1]

    assert (await ask(port, b"GET /livez?x HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    assert (await ask(port, b"HEAD /livez HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")
    assert (await ask(port, b"POST /livez HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 405")
    assert await ask(port, b"nonsense\r\n\r\n") == b""
    server.close()


def test_metrics_exist_at_nought_from_the_first_visit_on() -> None:
    metrics = Metrics()
    metrics.promoted("q", 0, 0)
    metrics.handed_back("q", 0)
    metrics.trimmed("q", 0, 0)
    metrics.passed("promote", 0.1)
    lines = metrics.text().decode().splitlines()
    assert not [line for line in lines if "_created" in line]

    for line in (
        'ferryman_promoted_total{queue="q"} 0.0',
        'ferryman_promotion_lag_seconds{queue="q"} 0.0',
        'ferryman_recovered_total{cause="handed",queue="q",to="waiting"} 0.0',
        *(
            f'ferryman_recovered_total{{cause="{cause}",queue="q",to="{place}"}} 0.0'
            for cause in DEATHS
            for place in ("waiting", "dead")
        ),
        'ferryman_trimmed_total{queue="q",state="completed"} 0.0',
        'ferryman_trimmed_total{queue="q",state="dead"} 0.0',
        'ferryman_scheduler_pass_seconds_count{loop="promote"} 1.0',
    ):
        assert line in lines


def test_metrics_count() -> None:
    metrics = Metrics()
    metrics.promoted("q", 3, 1_500)
    metrics.recovered("q", 2, 1, Cause.OOM_KILLED)
    metrics.handed_back("q", 4)
    metrics.round_trip(0.0003)
    lines: list[Any] = metrics.text().decode().splitlines()

    assert 'ferryman_promoted_total{queue="q"} 3.0' in lines
    assert 'ferryman_promotion_lag_seconds{queue="q"} 1.5' in lines
    assert 'ferryman_recovered_total{cause="oom_killed",queue="q",to="waiting"} 2.0' in lines
    assert 'ferryman_recovered_total{cause="oom_killed",queue="q",to="dead"} 1.0' in lines
    assert 'ferryman_recovered_total{cause="handed",queue="q",to="waiting"} 4.0' in lines
    assert 'ferryman_redis_round_trip_seconds_bucket{component="scheduler",le="0.00025"} 0.0' in lines
    assert 'ferryman_redis_round_trip_seconds_bucket{component="scheduler",le="0.0005"} 1.0' in lines


def test_settings() -> None:
    assert SchedulerSettings.from_env({}).port == 8080
    assert SchedulerSettings.from_env({"FERRYMAN_PORT": " 0 "}).port == 0
    for bad in ("x", "-1", "70000", "1.5"):
        with pytest.raises(BadSetting, match="FERRYMAN_PORT"):
            SchedulerSettings.from_env({"FERRYMAN_PORT": bad})
