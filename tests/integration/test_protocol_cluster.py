"""A server in cluster mode, which refuses every script that touches a key in another slot than those it declares."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from ferryman_bench import AgingClock, Bench

from ferryman.call import command
from ferryman.errors import BrokerRefused
from ferryman.link import Link
from ferryman.policy import Claim
from ferryman.protocol import Completion
from ferryman.task import TaskState


@pytest.fixture
async def cluster_bench(start_redis: Callable[..., Any]) -> AsyncIterator[Bench]:
    """A queue on a cluster of one server, which has all slots."""
    server = start_redis("--cluster-enabled", "yes", "--cluster-port", str(_free_port()))
    link = Link.from_url(server.url)
    await link.run(command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383, read=bool))
    async with asyncio.timeout(30):
        while "cluster_state:ok" not in str(await link.run(command("CLUSTER", "INFO", read=lambda reply: reply))):
            await asyncio.sleep(0.05)
    yield Bench(link, AgingClock(link))
    await link.close()


def _free_port() -> int:
    """For the cluster's bus; by default it is the server's port and 10,000, which may be no port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_server_in_cluster_mode_refuses_a_script_that_leaves_its_slot(cluster_bench: Bench) -> None:
    """So that the test below can fail."""
    astray = "#!lua\nreturn redis.call('GET', 'elsewhere')"
    with pytest.raises(BrokerRefused, match="slot"):
        await cluster_bench.write("EVAL", astray, 1, cluster_bench.keys.stats)


async def test_a_task_lives_in_one_slot_from_enqueue_to_its_end(cluster_bench: Bench) -> None:
    """Every script of the protocol at work."""
    b, broker = cluster_bench, cluster_bench.broker
    await b.run(broker.announce())
    await b.enqueue("a", "b", "c", unique="")
    await b.enqueue("urgent", priority=1, unique="k")
    await b.enqueue("due", delay_ms=1)
    await b.clock.advance(10)
    assert (await b.run(broker.promote())).count == 1
    await b.register("w", slot="uid.worker")
    await b.run(b.workers.beat("w", 15_000))
    await b.run(b.workers.drain(["w"], 0))
    await b.run(b.workers.vouch(["w"], 1))
    await b.run(b.policy.claim(Claim("c", "n", "q", "uid"), 1_000))
    await b.run(b.policy.write({"max_attempts": 3}, 1))

    assert await b.run(broker.hand_over(1)) == "*"
    [urgent, *others] = await b.fetch("w", 4, "*")
    assert (urgent.id, [task.id for task in others]) == ("urgent", ["a", "b", "c"])
    a, bb, c = others
    await b.run(broker.complete("w", [Completion("urgent", urgent.token)]))
    await b.run(broker.retry("w", "a", a.token, delay_ms=60_000, error="no"))
    await b.run(broker.dead_letter("w", "b", bb.token, error="no"))
    await b.run(broker.requeue("w", [("c", c.token)]))
    await b.fetch("w")
    assert await b.run(b.workers.holding("w")) == [("c", 2)]
    await b.run(b.workers.hint_gone("w", "gone"))
    assert (await b.look_until_dead("w"))[0] == 1
    await b.run(broker.recover_handed())
    assert (await b.run(broker.revive(["b"]))).ids == ["b"]
    assert await b.run(broker.cancel("b")) == "discarded"
    assert (await b.run(broker.discard(TaskState.WAITING))).ids != []
    await b.run(broker.trim())
    await b.register("late")
    assert await b.run(b.workers.unregister("late"))

    assert len((await b.run(b.inspector.page(TaskState.DELAYED))).tasks) == 1
    assert (await b.run(b.inspector.get("a"))) is not None
    assert (await b.stats()).unaccounted == 0
