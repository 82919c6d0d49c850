"""Stage: one queue on an empty server, which grows in one respect and is operated on at each size."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
from growing.gauge import Gauge
from guarding.counts import PAYLOAD

from ferryman.broker import Broker
from ferryman.call import Call, command
from ferryman.ids import new_task_id
from ferryman.inspector import Inspector
from ferryman.link import SyncLink
from ferryman.manifest import Manifest
from ferryman.new_task import NewTask
from ferryman.plan import Plan
from ferryman.protocol import Completion
from ferryman.workers import WorkerInfo, WorkerRegistry

T = TypeVar("T")

QUEUE: Final = "scale"
WORKER: Final = "worker"
ARGS: Final = msgspec.json.encode({"value": PAYLOAD})
TOMORROW_MS: Final = 86_400_000
_IN_A_CALL: Final = 250
_KEPT: Final = 1_000


class Stage:
    """Tasks come and go through the scripts that everybody uses. With `ranked` each has a priority of its own."""

    def __init__(self, link: SyncLink, samples: int, queue: str = QUEUE, ranked: bool = False) -> None:
        self.gauge = Gauge(link)
        self.samples = range(samples)
        self.broker, self.registry, self.inspector = Broker(queue), WorkerRegistry(queue), Inspector(queue)
        self.keys = self.broker.keys
        self._ranked = ranked
        self._chance = random.Random(1)
        self.clear()

    def run(self, call: Call[Any]) -> Any:
        """Not timed."""
        return self.gauge.run(call)

    def timed(self, name: str, call: Call[Any]) -> Any:
        """Timed under that name."""
        return self.gauge.timed(name, call)

    def timed_steps(self, name: str, plan: Plan[T]) -> T:
        """Run to its end; each of its calls is one operation under that name."""
        try:
            calls = next(plan)
            while True:
                calls = plan.send([self.timed(name, call) for call in calls])
        except StopIteration as stop:
            found: T = stop.value
            return found

    def clear(self) -> None:
        """Nothing is left but a worker."""
        self.run(command("FLUSHALL", read=bool))
        self.register(WORKER)

    def say(self, *words: Any) -> Any:
        """A plain command, not timed."""
        return self.run(command(*words, read=lambda reply: reply))

    def info(self, worker: str) -> WorkerInfo:
        """With a deadline that outlasts the run."""
        return WorkerInfo(worker, "", f"pod-{worker}", 36_000_000, 1_000, 100, "app", "1")

    def register(self, *workers: str) -> None:
        """All of them."""
        for start in range(0, len(workers), _IN_A_CALL):
            some = workers[start : start + _IN_A_CALL]
            self.gauge.run_all([self.registry.register(self.info(name), Manifest("app", {})) for name in some])

    def new(self, count: int, delay_ms: int = 0) -> list[NewTask]:
        """Tasks with ids and payloads of the usual size."""
        return [
            NewTask(
                *(new_task_id(), "noop", ARGS),
                delay_ms=delay_ms,
                priority=self._chance.randint(1, 9) if self._ranked else 0,
            )
            for _ in range(count)
        ]

    def put(self, count: int, delay_ms: int = 0) -> list[str]:
        """Enqueue so many; the ids of a thousand of them at most, from all over."""
        kept: list[str] = []
        for start in range(0, count, 2_000):
            tasks = self.new(min(2_000, count - start), delay_ms)
            parts = [tasks[at : at + _IN_A_CALL] for at in range(0, len(tasks), _IN_A_CALL)]
            self.gauge.run_all([self.broker.enqueue(part) for part in parts])
            kept += [task.id for task in tasks[:: max(1, count // _KEPT)]]
        self._chance.shuffle(kept)
        return kept

    def held(self) -> list[Completion]:
        """What the worker holds."""
        return [Completion(id, token) for id, token in self.run(self.registry.holding(WORKER))]

    def work_off(self, count: int) -> None:
        """Waiting -> completed, by the hundred."""
        for start in range(0, count, 100):
            self.run(self.broker.fetch(WORKER, min(100, count - start)))
            self.run(self.broker.complete(WORKER, self.held()))

    def used_bytes(self) -> int:
        """What the data occupies."""
        return int(self.run(command("INFO", "memory", read=dict))["used_memory_dataset"])

    def settle(self) -> None:
        """Wait until Redis has freed what it frees aside. Raises SystemExit after a minute."""
        deadline = time.monotonic() + 60
        while self.run(command("INFO", "memory", read=lambda info: int(info["lazyfree_pending_objects"]))):
            if time.monotonic() > deadline:
                raise SystemExit("Redis still frees memory after 60 s")
            time.sleep(0.02)


def some(ids: Sequence[str], count: int) -> list[str]:
    """The first so many; all of them, and again, when there are fewer."""
    return [ids[n % len(ids)] for n in range(count)]
