"""Damaged data: a script refuses before its first write, or does all of its work. Nothing in between.

Every call meets, one after the other, each key of a busy queue with the wrong type, and each field of each hash
with garbage in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ferryman.call import Argument, Call, command
from ferryman.errors import BrokerError, InvalidTask
from ferryman.manifest import Manifest
from ferryman.policy import Claim
from ferryman.protocol import Completion
from ferryman.task import NewTask, TaskState
from ferryman.testing import Bench
from ferryman.workers import WorkerInfo

NEW = [
    NewTask("new-1", "echo", b"{}"),
    NewTask("new-2", "echo", b"{}", priority=1, unique="held"),
    NewTask("new-3", "echo", b"{}", delay_ms=1_000),
]
INFO = WorkerInfo("w3", "slot", "pod", 15_000, 1_000, 1, "app", "1")

CALLS: dict[str, Callable[[Bench], Call[Any]]] = {
    "enqueue": lambda b: b.broker.enqueue(NEW),
    "promote": lambda b: b.broker.promote(),
    "fetch": lambda b: b.broker.fetch("w2", 10),
    "fetch handed": lambda b: b.broker.fetch("w2", 1, "handed"),
    "complete": lambda b: b.broker.complete("w1", [Completion("held-1", 1), Completion("held-2", 1)]),
    "retry": lambda b: b.broker.retry("w1", "held-2", 1, delay_ms=10),
    "park": lambda b: b.broker.retry("w1", "held-1", 1, delay_ms=10, spend=False, park=True),
    "dead_letter": lambda b: b.broker.dead_letter("w1", "held-2", 1, error="no"),
    "requeue": lambda b: b.broker.requeue("w1", [("held-1", 1), ("held-2", 1)]),
    "recover": lambda b: b.broker.recover("gone"),
    "recover_handed": lambda b: b.broker.recover_handed(),
    "revive": lambda b: b.broker.revive(),
    "discard waiting": lambda b: b.broker.discard(TaskState.WAITING),
    "discard delayed": lambda b: b.broker.discard(TaskState.DELAYED),
    "discard dead": lambda b: b.broker.discard(TaskState.DEAD),
    "discard completed": lambda b: b.broker.discard(TaskState.COMPLETED),
    "cancel": lambda b: b.broker.cancel("waits"),
    "trim": lambda b: b.broker.trim(),
    "register": lambda b: b.workers.register(INFO, Manifest("app", {})),
    "beat": lambda b: b.workers.beat("w1", 15_000),
    "unregister": lambda b: b.workers.unregister("w2"),
    "hint_gone": lambda b: b.workers.hint_gone("w1", "gone", exempt=True),
    "vouch": lambda b: b.workers.vouch(["w1", "w2"], 1_000),
    "write policy": lambda b: b.policy.write({"max_attempts": 3}, 2),
    "claim": lambda b: b.policy.claim(Claim("c", "n", "q", "uid-2"), 1_000),
    "stats": lambda b: b.inspector.stats(),
    "show waiting": lambda b: b.inspector.tasks(TaskState.WAITING),
    "show dead": lambda b: b.inspector.tasks(TaskState.DEAD),
    "holding": lambda b: b.workers.holding("w1"),
    "list": lambda b: b.workers.list(),
}


async def make_busy(bench: Bench) -> None:
    """Something in every key, and something to do for every call."""
    await bench.register("gone", slot="slot")
    await bench.enqueue("orphan-1", priority=2)
    await bench.enqueue("orphan-2", unique="orphan")
    await bench.fetch("gone", 2)
    await bench.register("w1", "w2")
    await bench.enqueue("held-1", priority=1)
    await bench.enqueue("held-2", unique="held")
    await bench.fetch("w1", 2)
    await bench.finish("done")
    await bench.bury("buried", unique="buried")
    await bench.enqueue("ranked", priority=5, delay_ms=10)
    await bench.enqueue("due", delay_ms=20)
    await bench.enqueue("handed")
    await bench.hand()
    await bench.enqueue("urgent", priority=3)
    await bench.enqueue("waits", "waits-too")
    await bench.run(bench.broker.recover_handed())
    await bench.run(bench.policy.write({"completed_ms": 5, "completed_max": 5, "dead_ms": 5, "crashes_max": 2}, 1))
    await bench.run(bench.policy.write({"recoveries_max": 9, "vouch_max_ms": 9, "hold": 0}, 1))
    await bench.run(bench.policy.claim(Claim("c", "n", "q", "uid-1"), 600_000))
    await bench.run(bench.workers.drain(["w1"], 600_000))
    await bench.run(bench.workers.vouch(["w1"], 600_000))
    await bench.clock.advance(3_000)
    await bench.write("ZADD", bench.keys.workers, 0, "gone")
    await bench.write("HSET", bench.keys.worker("gone"), "held", 2)


class Frozen:
    """The busy queue as bytes, put back before every act."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.state: dict[str, Any] = {}

    async def read(self) -> dict[str, Any]:
        names = await self.bench.run(command("KEYS", "*", read=lambda reply: sorted(key.decode() for key in reply)))
        dumps = await self.bench.link.run_all([command("DUMP", name, read=lambda reply: reply) for name in names])
        return dict(zip(names, dumps, strict=True))

    async def act(self, name: str, key: str, *damage: tuple[Argument, ...]) -> None:
        """Put the queue back, damage `key`, and call.

        A call that fails must have refused with an error of ours and changed nothing. A damaged task must stop no call.
        """
        restore = [("RESTORE", key, 0, dump) for key, dump in self.state.items()]
        words = [("FLUSHDB",), *restore, *damage, ("DUMP", key)]
        damaged = (await self.bench.link.run_all([command(*w, read=lambda reply: reply) for w in words]))[-1]
        try:
            await self.bench.run(CALLS[name](self.bench))
        except (BrokerError, InvalidTask):
            if ":task:" in key:
                raise
            assert await self.read() == {**self.state, key: damaged}, (key, damage)
        else:
            if ":task:" in key:
                assert (await self.bench.stats()).unaccounted == 0, damage


@pytest.fixture
async def frozen(real_bench: Bench) -> Frozen:
    frozen = Frozen(real_bench)
    await make_busy(real_bench)
    frozen.state = await frozen.read()
    return frozen


@pytest.mark.parametrize("name", CALLS)
async def test_undamaged_every_call_works(frozen: Frozen, name: str) -> None:
    await frozen.bench.run(CALLS[name](frozen.bench))
    assert (await frozen.bench.stats()).unaccounted == 0


@pytest.mark.parametrize("name", CALLS)
async def test_a_key_of_the_wrong_type(frozen: Frozen, name: str) -> None:
    for key in frozen.state:
        await frozen.act(name, key, ("DEL", key), ("RPUSH" if ":unique:" in key else "APPEND", key, "x"))


@pytest.mark.parametrize("garbage", ["x", "1.5"])
@pytest.mark.parametrize("name", CALLS)
async def test_garbage_in_a_field(frozen: Frozen, name: str, garbage: str) -> None:
    bench = frozen.bench
    hashes = [key for key in frozen.state if await bench.run(command("TYPE", key, read=bytes)) == b"hash"]
    fields = {key: await bench.run(command("HKEYS", key, read=list)) for key in hashes}

    for key in hashes:
        for field in fields[key]:
            await frozen.act(name, key, ("HSET", key, field, garbage))
