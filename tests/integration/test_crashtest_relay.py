"""The relay before Redis: each of its faults, against a real server and real links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import uvloop

from ferryman.broker import Broker
from ferryman.call import command
from ferryman.connection import Connection
from ferryman.crashtest.relay import Relay
from ferryman.errors import BrokerUnavailable
from ferryman.link import Link
from ferryman.new_task import NewTask
from ferryman.wire import packed

QUEUE = "emails"
INCR = command("INCR", "counter", read=int)
GET = command("GET", "counter", read=lambda reply: int(reply or 0))
DEADLINE_S = 20.0


@pytest.fixture
async def relay(redis_url: str, real_link: Link) -> AsyncIterator[Relay]:
    """Before the real server, which `real_link` reaches directly."""
    relay = Relay()
    port = urlsplit(redis_url).port
    assert port
    await relay.start(("127.0.0.1", port))
    yield relay
    await relay.stop()


@pytest.fixture
async def link(relay: Relay) -> AsyncIterator[Link]:
    """Through the relay; gives a reply up after two seconds: a busy machine answers sooner."""
    link = Link.from_url(f"redis://127.0.0.1:{relay.port}/0", client_name="relayed", reply_timeout_s=2)
    assert await link.run(INCR) == 1
    yield link
    await link.close()


async def test_a_cut_resets_what_is_open_and_nothing_else(relay: Relay, link: Link) -> None:
    waiting = asyncio.create_task(link.run(command("BLPOP", "nothing", 0.4, read=lambda reply: reply)))
    await asyncio.sleep(0.1)
    relay.cut()
    with pytest.raises(BrokerUnavailable):
        await waiting
    assert await link.run(INCR) == 2


async def test_a_lost_reply_is_that_of_a_command_which_was_applied(relay: Relay, link: Link, real_link: Link) -> None:
    await asyncio.sleep(0.1)  # connections that have just opened are spared
    relay.lose_replies()
    with pytest.raises(BrokerUnavailable):
        await link.run(INCR)
    await asyncio.wait_for(relay.lost_reply(), DEADLINE_S)
    relay.heal()
    assert await real_link.run(GET) == 2
    assert relay.lost_replies == 1
    assert await link.run(INCR) == 3


async def test_a_half_open_connection_delivers_late_what_its_client_gave_up(
    relay: Relay, link: Link, real_link: Link
) -> None:
    relay.freeze(newcomers=False)
    with pytest.raises(BrokerUnavailable):
        await link.run(INCR)
    assert await link.run(INCR) == 2  # through a new connection
    assert await real_link.run(GET) == 2
    await relay.thaw()
    async with asyncio.timeout(DEADLINE_S):
        while await real_link.run(GET) != 3:
            await asyncio.sleep(0.01)


async def test_while_all_is_down_nothing_passes_and_then_all_of_it_does(
    relay: Relay, link: Link, real_link: Link
) -> None:
    relay.freeze(newcomers=True)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            await link.run(INCR)
    assert await real_link.run(GET) == 1
    await relay.thaw()
    async with asyncio.timeout(DEADLINE_S):
        # The second one never got beyond its greeting: who opens a connection waits for that first.
        while await real_link.run(GET) != 2:
            await asyncio.sleep(0.01)
    assert await link.run(INCR) == 3


async def test_a_client_that_waits_through_a_freeze_goes_on_as_if_nothing_had_been(relay: Relay, link: Link) -> None:
    relay.freeze(newcomers=False)
    reply = asyncio.create_task(link.run(INCR))
    await asyncio.sleep(0.1)
    await relay.thaw()
    assert await reply == 2


async def test_a_slow_link_delivers_everything_in_order(relay: Relay, link: Link) -> None:
    relay.slow_down(0.02, 50)
    tasks = [NewTask(f"t{number}", "send", b'{"to": "a@example.com"}') for number in range(20)]
    replies = await link.run(Broker(QUEUE).enqueue(tasks))
    assert [reply.id for reply in replies] == [task.id for task in tasks]
    relay.heal()
    assert await link.run(INCR) == 2


async def test_without_a_server_behind_it_connections_are_reset(relay: Relay, link: Link) -> None:
    relay.turn(None)
    with pytest.raises(BrokerUnavailable):
        await link.run(INCR)


def test_on_uvloop_too_a_write_after_a_reset_fails_as_a_connection_does(redis_url: str) -> None:
    """uvloop says RuntimeError of a connection whose reset it has seen and its user has not."""

    async def write_after_reset() -> None:
        port = urlsplit(redis_url).port
        assert port
        relay = Relay()
        await relay.start(("127.0.0.1", port))
        connection = (await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", relay.port))[1]
        ping = packed([("PING",)])
        assert await connection.exchange(ping, 1, DEADLINE_S) == [b"PONG"]
        relay.cut()
        async with asyncio.timeout(DEADLINE_S):
            while connection.lost is None:
                await asyncio.sleep(0.01)
        connection.lost = None  # as if it had not been told yet
        try:
            with pytest.raises(ConnectionError):
                await connection.exchange(ping, 1, DEADLINE_S)
        finally:
            connection.close()
            await relay.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write_after_reset())
