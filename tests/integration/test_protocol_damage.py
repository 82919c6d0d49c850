"""Damaged data: a script refuses before its first write, or does all of its work. Nothing in between.

Every call meets, one after the other, each key of a busy queue with the wrong type, each field of each hash with
garbage in it, and each set and list with entries that nobody put there. Which fields a script reads is taken from its
text, so that a field which the busy queue has not is damaged too, and a script that joins is not forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from typing import Any

import pytest
from ferryman_bench import Bench
from msgspec.structs import replace

from ferryman import scripts
from ferryman.broker import ANY_HANDED
from ferryman.call import Argument, Call, command
from ferryman.ends import Ends
from ferryman.errors import BrokerError, InvalidTask
from ferryman.lane_figures import read_lanes
from ferryman.manifest import Manifest, TaskManifest
from ferryman.new_task import NewTask
from ferryman.policy import Claim
from ferryman.protocol import Completion, Step, kept_result
from ferryman.schedule import Overlap, Schedule
from ferryman.task import TaskState
from ferryman.terms import Terms
from ferryman.timetable import Timetable
from ferryman.workers import WorkerInfo

UNDO = '{"name":"echo","args":"{}","options":""}'
#: Three of the four nodes of a workflow: the first is held, the others wait for it, or for those that are to come.
FLOW = [
    Terms(flow="flow", node="a", nodes=4, next=["flow:b"], undo=UNDO, pin_ms=9_999, spec="{}"),
    Terms(flow="flow", node="b", nodes=4, waits=True, ignores=True, spec="{}"),
    Terms(flow="flow", node="c", nodes=4, waits=True, after=["flow:b", "flow:@"], sending=True, spec="{}"),
]
MORE = Terms(flow="flow", node="d", nodes=4, waits=True, after=["flow:a"], spec="{}")
NEW = [
    NewTask("new-1", "echo", b"{}"),
    NewTask("new-2", "echo", b"{}", priority=1, unique="held"),
    NewTask("new-3", "echo", b"{}", delay_ms=1_000),
]
LANED = [
    NewTask("new-4", "echo", b"{}", terms=Terms(lane="a").encode()),
    NewTask("new-5", "echo", b"{}", terms=Terms(lane="b").encode(), priority=1),
    NewTask("new-6", "echo", b"{}", unique="throttled", terms=Terms(throttle_ms=9_999).encode()),
    NewTask("new-7", "echo", b"{}", unique="debounced", terms=Terms(debounce_ms=9_999).encode()),
]
SCHEDULE = Schedule("beat", "echo", every_ms=1_000)
ALONE = Schedule("alone", "echo", every_ms=1_000, overlap=Overlap.SKIP)
SETTLED_MS = 1_000_000
INFO = WorkerInfo("w3", "slot", "pod", 15_000, 1_000, 1, "app", "1")
KNOWS = Manifest("app", {"echo": TaskManifest("echo")})
KNOWS_MORE = Manifest("app", {"echo": TaskManifest("echo"), "more": TaskManifest("more")})

CALLS: dict[str, Callable[[Bench], Call[Any]]] = {
    "enqueue": lambda b: b.broker.enqueue(NEW),
    "enqueue to lanes": lambda b: b.broker.enqueue(LANED),
    "complete one of a lane": lambda b: b.broker.complete("w1", [Completion("laned-1", 1)]),
    "retry one of a lane": lambda b: b.broker.retry("w1", "laned-1", 1, delay_ms=10),
    "requeue one of a lane": lambda b: b.broker.requeue("w1", [("laned-1", 1)]),
    "cancel one of a lane": lambda b: b.broker.cancel("laned-3"),
    "discard blocked": lambda b: b.broker.discard(TaskState.BLOCKED),
    "mend_lanes": lambda b: b.broker.mend_lanes(),
    "read_lanes": lambda b: read_lanes(b.name),
    "promote": lambda b: b.broker.promote(),
    "fetch": lambda b: b.broker.fetch("w2", 10),
    "fetch handed": lambda b: b.broker.fetch("w2", 1, "handed"),
    "fetch what was handed over": lambda b: b.broker.fetch("w2", 1, ANY_HANDED),
    "complete": lambda b: b.broker.complete("w1", [Completion("held-1", 1), Completion("held-2", 1)]),
    "complete with a result": lambda b: b.broker.complete("w1", [Completion("held-2", 1, 1, kept_result(9_999, b"1"))]),
    "retry": lambda b: b.broker.retry("w1", "held-2", 1, delay_ms=10),
    "park": lambda b: b.broker.retry("w1", "held-1", 1, delay_ms=10, spend=False, park=True),
    "dead_letter": lambda b: b.broker.dead_letter("w1", "held-2", 1, error="no"),
    "crash": lambda b: b.broker.crash("w1", "held-2", 1, reason="SIGKILL"),
    "crash of a task with a priority": lambda b: b.broker.crash("w1", "held-1", 1, reason="SIGKILL"),
    "requeue": lambda b: b.broker.requeue("w1", [("held-1", 1), ("held-2", 1)]),
    "recover": lambda b: b.broker.recover("gone"),
    "recover a suspected worker": lambda b: b.broker.recover("silent"),
    "recover_handed": lambda b: b.broker.recover_handed(),
    "revive": lambda b: b.broker.revive(),
    "discard waiting": lambda b: b.broker.discard(TaskState.WAITING),
    "discard delayed": lambda b: b.broker.discard(TaskState.DELAYED),
    "discard dead": lambda b: b.broker.discard(TaskState.DEAD),
    "discard completed": lambda b: b.broker.discard(TaskState.COMPLETED),
    "cancel": lambda b: b.broker.cancel("waits"),
    "trim": lambda b: b.broker.trim(),
    "complete of a node": lambda b: b.broker.complete("w1", [Completion("flow:a", 1), Completion("held-2", 1)]),
    "dead_letter of a node": lambda b: b.broker.dead_letter("w1", "flow:a", 1, error="no"),
    "cancel of a node": lambda b: b.broker.cancel("flow:b"),
    "enqueue of nodes": lambda b: b.broker.enqueue([NewTask("flow:d", "echo", b"{}", terms=MORE.encode())]),
    "advance": lambda b: b.broker.advance(),
    "start_flow": lambda b: b.broker.start_flow("flow"),
    "expire": lambda b: b.broker.expire(),
    "ask to stop": lambda b: b.broker.ask_to_stop("held-2"),
    "retry of a cancelled task": lambda b: b.broker.retry("w1", "stopped", 1, delay_ms=10),
    "dead_letter of a cancelled task": lambda b: b.broker.dead_letter("w1", "stopped", 1, error="no"),
    "crash of a cancelled task": lambda b: b.broker.crash("w1", "stopped", 1, reason="SIGKILL"),
    "requeue of a cancelled task": lambda b: b.broker.requeue("w1", [("stopped", 1), ("held-2", 1)]),
    "attend": lambda b: Ends(b.name).attend(["waits", "held-2", "done", "buried"], "waiter"),
    "asked_to_stop": lambda b: b.workers.asked_to_stop("w1", ["stopped", "held-2"]),
    "progress": lambda b: b.workers.progress("w1", [Step("held-2", 1, b'{"done":1}')]),
    "register": lambda b: b.workers.register(INFO, KNOWS_MORE),
    "beat": lambda b: b.workers.beat("w1", 15_000),
    "unregister": lambda b: b.workers.unregister("w2"),
    "hint_gone": lambda b: b.workers.hint_gone("w1", "gone", exempt=True),
    "declare_dead": lambda b: b.workers.declare_dead("w2", "gone"),
    "vouch": lambda b: b.workers.vouch(["w1", "w2"], 1_000),
    "write policy": lambda b: b.policy.write({"max_attempts": 3}, 2),
    "claim": lambda b: b.policy.claim(Claim("c", "n", "q", "uid-2"), 1_000),
    "stats": lambda b: b.inspector.stats(),
    "show waiting": lambda b: b.inspector.page(TaskState.WAITING),
    "show dead": lambda b: b.inspector.page(TaskState.DEAD),
    "glance at what is held": lambda b: b.inspector.held("w1"),
    "glance at the dead": lambda b: b.inspector.dead(),
    "holding": lambda b: b.workers.holding("w1"),
    "list": lambda b: b.workers.list(),
    "look": lambda b: b.workers.look(),
    "speak": lambda b: b.workers.speak(),
    "versions": lambda b: b.inspector.versions("echo"),
    "fire": lambda b: Timetable("bench").fire(SCHEDULE, SETTLED_MS, SETTLED_MS + 1),
    "fire one that overlaps": lambda b: Timetable("bench").fire(ALONE, SETTLED_MS, SETTLED_MS + 1),
    "pass over": lambda b: Timetable("bench").pass_over(SCHEDULE, SETTLED_MS, SETTLED_MS + 1),
    "begin": lambda b: Timetable("bench").begin(Schedule("new", "echo", every_ms=1_000)),
    "agree": lambda b: Timetable("bench").agree(1),
}

#: Commands by which a script may read a hash: of these two the fields stand in its text; the others read all or none.
NAMED, WHOLE = {"HGET", "HMGET"}, {"HGETALL", "HKEYS", "HLEN", "HEXISTS"}
#: All else that scripts say to Redis; what a key of the wrong type or a strange entry does to it is tried.
OTHERS = {
    "SADD",
    "SCARD",
    "SPOP",
    "SREM",
    "RPOP",
    "LPOP",
    "PEXPIRE",
    *("TIME", "EXISTS", "GET", "SET", "DEL", "UNLINK", "HSET", "HSETNX", "HDEL", "HINCRBY"),
    *("LLEN", "LINDEX", "LRANGE", "LPOS", "LPUSH", "RPUSH", "LREM", "LTRIM"),
    *(
        "ZADD",
        "ZCARD",
        "ZCOUNT",
        "ZSCORE",
        "ZRANGE",
        "ZREVRANGE",
        "ZRANGEBYSCORE",
        "ZREM",
        "ZREMRANGEBYRANK",
        "ZREMRANGEBYSCORE",
        "ZPOPMIN",
    ),
}


@cache
def text_of(script: str) -> str:
    """A script without its comments."""
    return re.sub(r"--.*", "", scripts.load(script, False).text)


def fields_read(script: str) -> Iterator[tuple[str, str]]:
    """(name of the hash's key, its place such as KEYS[2], or its role; field), where both stand in the text."""
    text = text_of(script)
    aliases = {name: role or key for name, key, role in re.findall(r"local (\w+) = (\w+) \.\. (?:'(\w+))?", text)}
    read = r"call\('(?:HGET|HMGET)', ([\w\[\]#]+)(?: \.\. (?:'([\w-]+))?[^,]*)?, ([^)]*)\)"
    for key, role, rest in re.findall(read, text):
        yield from ((role or aliases.get(key, key), field) for field in re.findall(r"'(\w+)'", rest))


def role_of(key: str) -> str:
    """What a key is to its queue: `stats`, `task`, `active`; whichever task or worker it is of."""
    return key.split("}:", 1)[1].split(":")[0]


def roles(call: Call[Any]) -> dict[str, str]:
    """What the script calls its keys, and their roles."""
    names = re.search(r"local ([\w, ]+) = (?:unpack\(KEYS\)|KEYS\[1\])", text_of(call.script))
    places = {f"KEYS[{n + 1}]": role_of(key) for n, key in enumerate(call.keys)}
    return places | dict(zip(names[1].split(", ") if names else [], places.values(), strict=False))


async def make_busy(bench: Bench) -> None:
    """Something in every key, and something to do for every call."""
    await bench.register("gone", slot="slot")
    await bench.enqueue("orphan-1", priority=2)
    await bench.enqueue("orphan-2", unique="orphan")
    await bench.fetch("gone", 2)
    await bench.register("w1")
    await bench.register("w2", slot="slot-2")
    await bench.register("silent", timeout_ms=1)
    await bench.write("HSET", bench.keys.manifest, "echo", "{}")
    await bench.run(bench.workers.register(replace(INFO, id="knows", slot=""), KNOWS))
    await bench.run(bench.workers.unregister("knows"))
    await bench.enqueue("held-1", priority=1)
    await bench.enqueue("held-2", unique="held")
    await bench.fetch("w1", 2)
    await bench.finish("done")
    [held] = await bench.hold_active("w1", "with-result")
    await bench.run(bench.broker.complete("w1", [Completion(held.id, held.token, 1, kept_result(600_000, b"1"))]))
    await bench.hold_active("w1", "stopped", unique="stopped", terms=Terms(keep=True, expires_ms=1).encode())
    await bench.run(bench.broker.ask_to_stop("stopped"))
    await bench.bury("buried", unique="buried")
    await bench.hold_active("w1", "flow:a", priority=9, terms=FLOW[0].encode())
    await bench.run(bench.policy.write({"lane_concurrency": 3, "lane_rate_count": 2, "lane_rate_ms": 600_000}, 1))
    await bench.hold_active("w1", "laned-1", terms=Terms(lane="a").encode())
    await bench.enqueue("laned-2", "laned-3", "laned-4", terms=Terms(lane="a").encode())
    for node in FLOW[1:]:
        await bench.enqueue(f"flow:{node.node}", terms=node.encode())
    await bench.write("RPUSH", bench.keys.flow_steps, "release flow:x", "end flow", "x")
    await bench.enqueue("ranked", priority=5, delay_ms=10)
    await bench.enqueue("due", delay_ms=20)
    await bench.enqueue("handed")
    await bench.hand()
    await bench.enqueue("urgent", priority=3)
    await bench.enqueue("waits", "waits-too")
    await bench.enqueue("too-late", terms=Terms(expires_ms=1).encode())
    await bench.enqueue("too-late-too", terms=Terms(expires_ms=1).encode(), delay_ms=600_000)
    await bench.run(Ends(bench.name).attend(["held-2", "stopped", "waits"], "waiter"))
    await bench.run(bench.broker.recover_handed())
    await bench.run(bench.policy.write({"completed_ms": 5, "completed_max": 5, "dead_ms": 5, "crashes_max": 2}, 1))
    await bench.run(bench.policy.write({"recoveries_max": 9, "vouch_max_ms": 9, "hold": 0}, 1))
    await bench.run(bench.policy.claim(Claim("c", "n", "q", "uid-1"), 600_000))
    await bench.run(bench.workers.drain(["w1"], 600_000))
    await bench.run(bench.workers.vouch(["w1"], 600_000))
    await bench.run(Timetable("bench").publish([SCHEDULE, ALONE]))
    await bench.write("HSET", bench.keys.schedules, "code:ab", "[]", "code:cd", "[]", "code", "ab")
    for schedule in (SCHEDULE, ALONE):
        record = f"{schedule.key}|{SETTLED_MS}|{SETTLED_MS}|held-2"
        await bench.write("HSET", bench.keys.fired, schedule.name, record)
    await bench.clock.advance(3_000)
    await bench.write("ZADD", bench.keys.workers, 0, "gone")
    await bench.write("HSET", bench.keys.worker("gone"), "held", 2)
    await bench.write("HSET", bench.keys.lane_ready, "b", 0)
    await bench.write("HSET", bench.keys.untold, "gone", "buried\nits container restarted")
    await bench.run(bench.broker.recover("silent"))


#: How a key is read so that two that say the same are equal: how a hash lies in memory differs from server to server.
READERS: dict[bytes, tuple[tuple[Argument, ...], Callable[[Any], Any]]] = {
    b"hash": (("HGETALL",), lambda reply: reply if isinstance(reply, dict) else dict(pairs(reply))),
    b"list": (("LRANGE", 0, -1), list),
    b"zset": (("ZRANGE", 0, -1, "WITHSCORES"), list),
    b"string": (("GET",), bytes),
    b"set": (("SMEMBERS",), sorted),
}


def pairs(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Fields and values, as Redis 2 replies."""
    return zip(flat[::2], flat[1::2], strict=True)


class Frozen:
    """The busy queue as bytes, put back before every act."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.state: dict[str, Any] = {}
        self.meaning: dict[str, Any] = {}

    async def freeze(self) -> None:
        """Keep the queue as it is now."""
        self.meaning = await self.read()
        dumps = await self.bench.link.run_all([command("DUMP", name, read=bytes) for name in self.meaning])
        self.state = dict(zip(self.meaning, dumps, strict=True))

    async def read(self) -> dict[str, Any]:
        """What each key holds."""
        names = await self.bench.run(command("KEYS", "*", read=lambda reply: sorted(key.decode() for key in reply)))
        return await self.hold(names)

    async def hold(self, names: list[str]) -> dict[str, Any]:
        """What these keys hold."""
        kinds = await self.bench.link.run_all([command("TYPE", name, read=bytes) for name in names])
        asked = [(name, *READERS[kind]) for name, kind in zip(names, kinds, strict=True)]
        calls = [command(verb, name, *rest, read=read) for name, (verb, *rest), read in asked]
        return dict(zip(names, await self.bench.link.run_all(calls), strict=True))

    async def of_type(self, kind: bytes) -> list[str]:
        """The queue's keys of that type."""
        return [key for key in self.state if await self.bench.run(command("TYPE", key, read=bytes)) == kind]

    async def hashes(self) -> dict[str, set[str]]:
        """The fields of each hash."""
        keys = await self.of_type(b"hash")
        names = [
            await self.bench.run(command("HKEYS", key, read=lambda fields: {f.decode() for f in fields}))
            for key in keys
        ]
        return dict(zip(keys, names, strict=True))

    async def act(self, name: str, key: str, *damage: tuple[Argument, ...]) -> None:
        """Put the queue back, damage `key`, and call.

        A call that fails must have refused with an error of ours and changed nothing. A damaged task must stop no call.
        """
        restore = [("RESTORE", key, 0, dump) for key, dump in self.state.items()]
        words = [("FLUSHDB",), *restore, *damage]
        await self.bench.link.run_all([command(*w, read=lambda reply: reply) for w in words])
        damaged = await self.hold([key])
        try:
            await self.bench.run(CALLS[name](self.bench))
        except (BrokerError, InvalidTask):
            if ":task:" in key:
                raise
            assert await self.read() == {**self.meaning, **damaged}, (key, damage)
        else:
            if ":task:" in key:
                assert (await self.bench.stats()).unaccounted == 0, damage


@pytest.fixture
async def frozen(real_bench: Bench) -> Frozen:
    frozen = Frozen(real_bench)
    await make_busy(real_bench)
    await frozen.freeze()
    return frozen


@pytest.mark.parametrize("name", CALLS)
async def test_undamaged_every_call_works(frozen: Frozen, name: str) -> None:
    await frozen.bench.run(CALLS[name](frozen.bench))
    assert (await frozen.bench.stats()).unaccounted == 0


@pytest.mark.parametrize("name", CALLS)
async def test_a_key_of_the_wrong_type(frozen: Frozen, name: str) -> None:
    declared = [key for key in CALLS[name](frozen.bench).keys if not key.endswith(":")]
    for key in sorted({*frozen.state, *declared}):
        await frozen.act(name, key, ("DEL", key), ("RPUSH" if ":unique:" in key else "APPEND", key, "x"))


@pytest.mark.parametrize("garbage", ["x", "1.5", ""])
@pytest.mark.parametrize("name", CALLS)
async def test_garbage_in_a_field(frozen: Frozen, name: str, garbage: str) -> None:
    call = CALLS[name](frozen.bench)
    for key, present in (await frozen.hashes()).items():
        read = {field for hash, field in fields_read(call.script) if roles(call).get(hash, hash) == role_of(key)}
        for field in sorted(present | read):
            await frozen.act(name, key, ("HSET", key, field, garbage))


@pytest.mark.parametrize("name", CALLS)
async def test_a_score_that_no_script_wrote(frozen: Frozen, name: str) -> None:
    for key in await frozen.of_type(b"zset"):
        for member in await frozen.bench.run(command("ZRANGE", key, 0, -1, read=list)):
            for score in ("-inf", "inf", "-1", "0.5"):
                await frozen.act(name, key, ("ZADD", key, score, member))


@pytest.mark.parametrize("name", CALLS)
async def test_an_entry_that_no_script_wrote(frozen: Frozen, name: str) -> None:
    for key in await frozen.of_type(b"zset"):
        await frozen.act(name, key, ("ZADD", key, 1, "nobody's"))
    for key in await frozen.of_type(b"list"):
        await frozen.act(name, key, ("RPUSH", key, "nobody's"))
    for key in await frozen.of_type(b"string"):
        await frozen.act(name, key, ("SET", key, "nobody's"))


async def test_the_damage_reaches_all_that_any_script_reads(frozen: Frozen) -> None:
    """Teach `CALLS`, `make_busy` or the sets of commands what this misses."""
    called = [call for build in CALLS.values() if (call := build(frozen.bench)).script]
    names = {
        file.name.removesuffix(".lua") for file in resources.files(scripts).iterdir() if file.name.endswith(".lua")
    }
    assert {call.script for call in called} == names
    present = {role_of(key): fields for key, fields in (await frozen.hashes()).items()}
    known = {role_of(key) for key in frozen.state}
    for call in called:
        text = text_of(call.script)
        said = re.findall(r"call\('(\w+)'", text)
        asked = {role_of(key) for key in call.keys} - {""}
        assert asked <= known, f"{call.script} reads a key that the busy queue has not"
        assert len(said) == len(re.findall(r"\bp?call\((?!score|tonumber|cjson)", text)), (
            f"{call.script} has a call we cannot read"
        )
        assert set(said) <= NAMED | WHOLE | OTHERS, f"{call.script} reads in a way that is not known here"
        for hash, _ in fields_read(call.script):
            assert roles(call).get(hash, hash) in present, (
                f"{call.script} reads fields of {hash}, a hash that the busy queue has not"
            )
