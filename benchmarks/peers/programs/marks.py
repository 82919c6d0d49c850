"""What the tasks of every Python peer do, how they are counted, and the producer's loop. Standard library only.

A no-op or sleep task writes (first start, last start, count) into its process's slot of a small shared file, which
costs less than a microsecond and no system call but getpid. The others append a line to a log: L latency; S and E, id,
moment, process, for the start and end of a task that may be killed.

A program is called `PROGRAM produce KIND COUNT one|many|crowd [RATE]`, and prints what it sent in which time as JSON.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

FOLDER = os.environ.get("BENCH_FOLDER", "")
PORT = int(os.environ.get("BENCH_PORT", "6379"))
CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY", "10"))
URL = f"redis://127.0.0.1:{PORT}/0"

KINDS = ("noop", "latency", "sleep", "crash")
SLEEP_S, CRASH_S = 0.05, 0.2
CHUNK, CROWD = 1000, 100
SLOT, SLOTS = struct.Struct("<ddq"), 4096

Argument = dict[str, Any] | float | int
#: One enqueue, blocking or awaited; and many in one call.
SendOne = Callable[[str, Argument], object]
SendMany = Callable[[str, Sequence[Argument]], object]


class _Slot:
    """This process's slot; a forked process takes its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0

    def mark(self) -> None:
        now_s = time.time()
        with self._lock:
            if (pid := os.getpid()) != self._pid:
                self._open(pid, now_s)
            self._count += 1
            SLOT.pack_into(self._slots, self._place, self._first_s, now_s, self._count)

    def _open(self, pid: int, now_s: float) -> None:
        with open(f"{FOLDER}/slots", "r+b") as slots:
            self._slots = mmap.mmap(slots.fileno(), SLOT.size * SLOTS)
        self._pid, self._place = pid, pid % SLOTS * SLOT.size
        first_s, _, self._count = SLOT.unpack_from(self._slots, self._place)
        self._first_s = first_s or now_s


_slot = _Slot()


def log(*words: object) -> None:
    """One line, written at once: what was noted before a kill stays noted."""
    line = os.open(f"{FOLDER}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(line, (" ".join(map(str, words)) + "\n").encode())
    finally:
        os.close(line)


def noop(value: Argument) -> None:
    """Nothing, and is counted."""
    _slot.mark()


def latency(sent_s: float) -> None:
    """Notes how long it was on its way."""
    log("L", time.time() - sent_s)


def sleep(value: Argument) -> None:
    """Waits as for a database, and is counted."""
    time.sleep(SLEEP_S)
    _slot.mark()


def crash(number: int) -> None:
    """Notes its start and its end."""
    log("S", number, time.time(), os.getpid())
    time.sleep(CRASH_S)
    log("E", number, time.time(), os.getpid())


async def anoop(value: Argument) -> None:
    """The same for asyncio, and so are the following."""
    _slot.mark()


async def alatency(sent_s: float) -> None:
    """See latency."""
    log("L", time.time() - sent_s)


async def asleep(value: Argument) -> None:
    """See sleep."""
    await asyncio.sleep(SLEEP_S)
    _slot.mark()


async def acrash(number: int) -> None:
    """See crash."""
    log("S", number, time.time(), os.getpid())
    await asyncio.sleep(CRASH_S)
    log("E", number, time.time(), os.getpid())


#: By kind: what blocking peers run, and what asyncio peers run.
BLOCKING: dict[str, Callable[[Any], None]] = {"noop": noop, "latency": latency, "sleep": sleep, "crash": crash}
ASYNC: dict[str, Callable[[Any], Awaitable[None]]] = {
    "noop": anoop,
    "latency": alatency,
    "sleep": asleep,
    "crash": acrash,
}


def argument(kind: str, number: int) -> Argument:
    """What a task is given: a no-op a small realistic payload, the same for every peer."""
    if kind == "latency":
        return time.time()
    if not kind.startswith("noop"):
        return number
    return {"id": number, "email": "someone@example.org", "template": "welcome", "lang": "en_GB", "tags": ["a", "b"]}


def produce(
    one: SendOne,
    many: SendMany | None = None,
    opened: Callable[[], Awaitable[object]] | None = None,
    closed: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Do what the command line says. `many` None: this peer has no call for many."""
    kind, count, mode = sys.argv[2], int(sys.argv[3]), sys.argv[4]
    rate = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
    warm = 0 if rate else min(100, count // 10)
    if inspect.iscoroutinefunction(one):
        seconds = asyncio.run(_produce_async(one, many, opened, closed, kind, warm, count, mode, rate))
    else:
        seconds = _produce_blocking(one, many, kind, warm, count, mode, rate)
    print(json.dumps({"tasks": count - warm, "seconds": seconds}), flush=True)


def _produce_blocking(
    one: SendOne, many: SendMany | None, kind: str, warm: int, count: int, mode: str, rate: float
) -> float:
    for number in range(warm):
        one(kind, argument(kind, number))
    start_s = time.perf_counter()
    if mode == "many" and many:
        for first in range(warm, count, CHUNK):
            many(kind, [argument(kind, number) for number in range(first, min(count, first + CHUNK))])
    else:
        for number in range(warm, count):
            if rate:
                time.sleep(max(0.0, start_s + number / rate - time.perf_counter()))
            one(kind, argument(kind, number))
    return time.perf_counter() - start_s


async def _produce_async(
    one: Any, many: Any, opened: Any, closed: Any, kind: str, warm: int, count: int, mode: str, rate: float
) -> float:
    if opened:
        await opened()
    for number in range(warm):
        await one(kind, argument(kind, number))
    start_s = time.perf_counter()
    if mode == "many" and many:
        for first in range(warm, count, CHUNK):
            await many(kind, [argument(kind, number) for number in range(first, min(count, first + CHUNK))])
    elif mode == "crowd":
        await asyncio.gather(*(_some(one, kind, range(warm + place, count, CROWD)) for place in range(CROWD)))
    elif rate:
        await _paced(one, kind, count, rate, start_s)
    else:
        await _some(one, kind, range(warm, count))
    seconds = time.perf_counter() - start_s
    if closed:
        await closed()
    return seconds


async def _some(one: Any, kind: str, numbers: range) -> None:
    for number in numbers:
        await one(kind, argument(kind, number))


async def _paced(one: Any, kind: str, count: int, rate: float, start_s: float) -> None:
    """Each at its moment, whether or not the one before it was accepted: nobody waits for a slow queue in real life."""
    sent: set[asyncio.Task[Any]] = set()
    for number in range(count):
        if (wait_s := start_s + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        task = asyncio.ensure_future(one(kind, argument(kind, number)))
        sent.add(task)
        task.add_done_callback(sent.discard)
    await asyncio.gather(*sent)
