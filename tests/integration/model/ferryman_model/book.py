"""Book: the model of a queue's tasks: where each is, what it has spent, who holds it, and which runs it has had.

Plain Python that knows nothing of lists, markers and ghosts. The commands write it as the scripts should have moved
Redis, the invariants compare the two.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from ferryman.new_task import NewTask
from ferryman.protocol import Delivery
from ferryman.task import TaskState
from ferryman_model.roster import Roster


class Clock(Protocol):
    """The stage's."""

    @property
    def now_ms(self) -> int: ...


@dataclass(slots=True)
class Record:
    """One life of one id. An id that is used again after its task has gone begins another life, with another `args`."""

    task: NewTask
    state: TaskState
    score: int | None  # of one with a priority
    holder: str = ""  # while active
    due_ms: int = 0  # while delayed
    ended_ms: int = 0  # when it died, or completed
    attempt: int = 0
    deliveries: int = 0
    crashes: int = 0
    recoveries: int = 0
    parks: int = 0
    parked: bool = False
    deaths: int = 0  # workers that died with it, since it last proved itself
    key: str = ""  # its unique key; while it is dead somebody else may own that
    why_dead: str = ""
    wished: bool = False  # somebody has cancelled it while it ran
    history: list[tuple[int, str]] = field(default_factory=list)  # of runs that did not end well: (number, outcome)

    @property
    def id(self) -> str:
        return self.task.id

    @property
    def suspect(self) -> bool:
        """Two workers died with it: it runs alone."""
        return self.deaths >= 2

    def ended(self, outcome: str) -> None:
        """A run did not end well. The latest ten are remembered."""
        self.history = [*self.history, (self.attempt + 1, outcome)][-10:]

    @property
    def life(self) -> bytes:
        """Names this life of the id."""
        return self.task.args


@dataclass(slots=True)
class Settings:
    """Policy, as far as the scripts read it."""

    hold: int = 0
    crashes_max: int = 3
    recoveries_max: int = 100
    completed_max: int = 10_000
    completed_ms: int = 3_600_000
    dead_ms: int = 2_592_000_000


@dataclass(slots=True)
class Book:
    """Everything that the model knows."""

    clock: Clock
    roster: Roster = field(default_factory=Roster)
    settings: Settings = field(default_factory=Settings)
    records: dict[str, Record] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)  # unique key -> id
    counters: Counter[str] = field(default_factory=Counter)
    sequence: int = 0
    accepted: set[bytes] = field(default_factory=set)  # lives
    runs: set[tuple[bytes, int]] = field(default_factory=set)  # the execution log: (life, token), each run to its end
    gone: dict[bytes, str] = field(default_factory=dict)  # life -> why there is no record of it any more

    def those(self, state: TaskState) -> list[Record]:
        """In the order of their moments: the longest due, dead or completed first."""
        found = [record for record in self.records.values() if record.state is state]
        return sorted(found, key=lambda r: (r.due_ms if state is TaskState.DELAYED else r.ended_ms, r.id))

    def lives(self, id: str, life: bytes) -> bool:
        """Nobody uses the id for anything else by now."""
        return id not in self.records or self.records[id].life == life

    def kept(self) -> list[Record]:
        """Those that have ended and whose status is kept, the longest ended first."""
        found = [*self.those(TaskState.COMPLETED), *self.those(TaskState.DISCARDED)]
        return sorted(found, key=lambda record: (record.ended_ms, record.id))

    def cut_short(self, record: Record) -> None:
        """It was cancelled, and leaves active: its run is told, and its status kept."""
        record.ended("cancelled")
        record.state, record.ended_ms, record.deaths = TaskState.DISCARDED, self.clock.now_ms, 0
        self.give_key_back(record)
        record.key = ""
        self.counters["discarded"] += 1
        self.counters["cancelled"] += 1

    def accept(self, task: NewTask) -> Record:
        """New -> waiting or delayed."""
        due_ms = task.run_at_ms or self.clock.now_ms + task.delay_ms
        state = TaskState.DELAYED if due_ms > self.clock.now_ms else TaskState.WAITING
        score = None
        if task.priority:
            self.sequence += 1
            score = -task.priority * (1 << 32) + self.sequence
        record = self.records[task.id] = Record(task, state, score, due_ms=due_ms, key=task.unique)
        if task.unique:
            self.owners[task.unique] = task.id
        self.counters["enqueued"] += 1
        self.accepted.add(record.life)
        return record

    def hold(self, worker: str, record: Record) -> None:
        """Waiting -> active."""
        record.state, record.holder = TaskState.ACTIVE, worker
        record.deliveries += 1
        self.roster.members[worker].held.insert(0, record.id)

    def holds(self, worker: str, id: str, token: int) -> Record | None:
        """The record of a delivery that is still this worker's."""
        record = self.records.get(id)
        ours = record and (record.state, record.holder, record.deliveries) == (TaskState.ACTIVE, worker, token)
        return record if ours else None

    def release(self, record: Record) -> None:
        """Active -> wherever the caller puts it next."""
        self.roster.members[record.holder].held.remove(record.id)
        record.holder = ""

    def bury(self, record: Record, why: str) -> None:
        """-> dead. The unique key is free again."""
        record.state, record.ended_ms, record.why_dead = TaskState.DEAD, self.clock.now_ms, why
        self.give_key_back(record)

    def give_key_back(self, record: Record) -> None:
        """Only what is its own."""
        if record.key and self.owners.get(record.key) == record.id:
            del self.owners[record.key]

    def forget(self, record: Record, why: str) -> None:
        """No record is left."""
        if record.parked:
            self.counters["parked"] -= 1
        self.give_key_back(record)
        del self.records[record.id]
        self.gone[record.life] = why

    def ran(self, delivery: Delivery) -> None:
        """A handler has run to its end. No delivery may run twice: each run needs a fetch."""
        run = (delivery.args, delivery.token)
        assert run not in self.runs, f"{delivery.id} ran twice by the token {delivery.token}"
        self.runs.add(run)
