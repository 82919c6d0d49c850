"""What workers say to Redis beside their outcomes: the hand-over, fetch, beats, and the registration."""

from __future__ import annotations

from ferryman.broker import Broker
from ferryman.call import command
from ferryman.manifest import Manifest
from ferryman.protocol import Delivery, Fetched
from ferryman.task import TaskState
from ferryman.workers import Beat, Registered, WorkerInfo, WorkerRegistry
from ferryman_model.book import Book
from ferryman_model.command import Command, same

TIMEOUT_MS, BEAT_MS = 15_000, 1_000

Held = tuple[str, int]


class WorkerCommands:
    """Commands of the workers of one queue."""

    def __init__(self, book: Book, queue: str) -> None:
        self._book = book
        self._roster = book.roster
        self._broker = Broker(queue)
        self._registry = WorkerRegistry(queue)

    # Tasks in.

    def listen(self) -> Command:
        """BLMOVE without its wait: what waits longest, or a marker, lies in handed then."""
        keys = self._broker.keys
        move = command(
            "LMOVE", keys.waiting, keys.handed, "RIGHT", "LEFT", read=lambda r: None if r is None else r.decode()
        )
        return Command("BLMOVE", move, lambda reply: None)

    def fetch(self, worker: str, limit: int, handed: str | None) -> Command:
        """Handed or waiting -> active."""

        def judge(reply: Fetched) -> None:
            same("the answer", reply.reply, self._rests(worker))
            if reply.reply == "ok":
                assert len(reply.tasks) <= max(limit, 1), "more than was asked for"
                for delivery in reply.tasks:
                    self._take(worker, delivery, reply)
                self._roster.members[worker].alone = any(d.suspect for d in reply.tasks)
            else:
                assert not reply.tasks

        return Command(f"fetch {limit} {handed or ''}", self._broker.fetch(worker, limit, handed), judge)

    def holding(self, worker: str) -> Command:
        """Read-only: what its list holds."""

        def judge(reply: list[Held]) -> None:
            held = self._roster.members[worker].held if worker in self._roster.members else []
            same("the reply", reply, [(id, self._book.records[id].deliveries) for id in reversed(held)])

        return Command("holding", self._registry.holding(worker), judge)

    # The worker itself.

    def register(self, worker: str, slot: str) -> Command:
        """Joins, unless somebody else is in the slot."""

        def judge(reply: Registered) -> None:
            now_ms = self._book.clock.now_ms
            same(
                "the reply's holder",
                reply.holder,
                self._roster.register(worker, slot, TIMEOUT_MS, BEAT_MS, now_ms),
            )

        info = WorkerInfo(worker, slot, "pod", TIMEOUT_MS, BEAT_MS, 2, "app", "1")
        return Command(f"register {worker}", self._registry.register(info, Manifest("app", {})), judge)

    def in_slot(self, slot: str) -> Command:
        """Read-only: whose tasks are to be taken over."""

        def judge(reply: str | None) -> None:
            same("the reply", reply, self._roster.slots.get(slot))

        return Command(f"in_slot {slot}", self._registry.in_slot(slot), judge)

    def declare_dead(self, worker: str) -> Command:
        """The lock of its slot is held by another process."""

        def judge(reply: bool) -> None:
            same("the reply", reply, self._roster.declare_dead(worker))

        return Command(f"declare_dead {worker}", self._registry.declare_dead(worker, "its process ended"), judge)

    def beat(self, worker: str) -> Command:
        """Moves its deadline on."""

        def judge(reply: Beat) -> None:
            now_ms, member = self._book.clock.now_ms, self._roster.members.get(worker)
            same("the reply's registered", reply.registered, self._roster.beat(worker, TIMEOUT_MS, now_ms))
            same("the reply's active", reply.active, (len(member.held) if member else 0))
            same("the reply's draining", reply.draining, bool(member and member.draining_until_ms > now_ms))
            same("the reply's hold", reply.hold, bool(self._book.settings.hold))

        return Command("beat", self._registry.beat(worker, TIMEOUT_MS), judge)

    def unregister(self, worker: str) -> Command:
        """Leaves, if it holds nothing."""

        def judge(reply: bool) -> None:
            same("the reply", reply, self._roster.unregister(worker))

        return Command("unregister", self._registry.unregister(worker), judge)

    # What the model says of them.

    def _rests(self, worker: str) -> str:
        if not self._roster.owns(worker):
            return "unregistered"
        member = self._roster.members[worker]
        if self._book.settings.hold:
            return "held"
        if member.draining_until_ms > self._book.clock.now_ms:
            return "draining"
        return "alone" if member.alone and member.held else "ok"

    def _take(self, worker: str, delivery: Delivery, reply: Fetched) -> None:
        record = self._book.records.get(delivery.id)
        assert record, f"{delivery.id} was fetched, and is not there"
        assert record.state is TaskState.WAITING, f"{delivery.id} was fetched, but is {record.state}"
        assert not delivery.suspect or len(reply.tasks) == 1, "a suspect must come alone"
        self._book.hold(worker, record)
        seen = (delivery.args, delivery.token, delivery.attempt, delivery.suspect, delivery.parks, delivery.crashes)
        known = (record.life, record.deliveries, record.attempt + 1, record.suspect, record.parks, record.crashes)
        assert seen == known, f"{delivery.id} came as {seen}, but is {known}"
