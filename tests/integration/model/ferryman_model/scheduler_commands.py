"""What schedulers, the recovery CronJob and the operator say to Redis: promote, looks, trim, hints and leases."""

from __future__ import annotations

from ferryman.broker import Broker
from ferryman.cause import Cause
from ferryman.protocol import Promoted, Recovery, Trimmed
from ferryman.task import TaskState
from ferryman.workers import WorkerRegistry
from ferryman_model.book import Book, Record
from ferryman_model.command import Command, same
from ferryman_model.roster import Member


class SchedulerCommands:
    """Commands of any number of schedulers, and of the operator."""

    def __init__(self, book: Book, queue: str) -> None:
        self._book = book
        self._roster = book.roster
        self._broker = Broker(queue)
        self._registry = WorkerRegistry(queue)

    def promote(self, limit: int) -> Command:
        """Delayed and due -> waiting."""

        def judge(reply: Promoted) -> None:
            now_ms = self._book.clock.now_ms
            due = [record for record in self._book.those(TaskState.DELAYED) if record.due_ms <= now_ms][:limit]
            same("the reply's count", reply.count, len(due))
            for record in due:
                record.state, record.due_ms = TaskState.WAITING, 0
                self._book.counters["parked"] -= record.parked
                record.parked = False
            left = self._book.those(TaskState.DELAYED)
            same("the reply's next_due_ms", reply.next_due_ms, (left[0].due_ms if left else None))

        return Command(f"promote {limit}", self._broker.promote(limit), judge)

    def look(self) -> Command:
        """Read-only: whose deadline has passed."""

        def judge(reply: list[str]) -> None:
            same("the reply", reply, self._roster.silent(self._book.clock.now_ms))

        return Command("look", self._registry.look(), judge)

    def recover(self, worker: str, limit: int) -> Command:
        """One look at one worker; when it is dead, what it held -> waiting or dead."""

        def judge(reply: Recovery) -> None:
            verdict = self._roster.look(worker, self._book.clock.now_ms)
            if verdict != "dead":
                same("the reply", reply, Recovery(verdict, 0, 0, 0))
                return
            member = self._roster.members[worker]
            if member.held_at_death is None:
                member.held_at_death = len(member.held)
            taken = [self._book.records[id] for id in member.held[:limit]]
            for record in taken:
                self._take_back(member, record)
            to_dead = sum(record.state is TaskState.DEAD for record in taken)
            cause = Cause.OTHER if member.hint else Cause.DEADLINE
            outcomes = tuple((record.id, record.history[-1][1]) for record in taken)
            ended = sum(record.state is TaskState.DISCARDED for record in taken)
            waits = len(taken) - to_dead - ended
            same("the reply", reply, Recovery("dead", waits, to_dead, len(member.held), cause, outcomes))
            self._book.counters["recovered"] += len(taken)
            self._book.counters["dead_by_crash"] += to_dead
            if not member.held:
                self._roster.remove(worker)

        return Command(f"recover {worker} {limit}", self._broker.recover(worker, limit), judge)

    def recover_handed(self, limit: int) -> Command:
        """One look at handed. To the model all that lies there is waiting, before and after."""
        return Command("recover_handed", self._broker.recover_handed(limit), lambda reply: None)

    def trim(self, limit: int) -> Command:
        """Completed and dead past their retention -> gone."""

        def judge(reply: Trimmed) -> None:
            settings, now_ms = self._book.settings, self._book.clock.now_ms
            kept, dead = self._book.kept(), self._book.those(TaskState.DEAD)
            old = sum(record.ended_ms <= now_ms - settings.completed_ms for record in kept)
            surplus = len(kept) - settings.completed_max
            forgotten = kept[: min(max(old, surplus, 0), limit)]
            expired = [record for record in dead if record.ended_ms <= now_ms - settings.dead_ms][:limit]
            same("the reply", reply, Trimmed(len(forgotten), len(expired)))
            for record in forgotten:
                self._book.forget(record, "completed" if record.state is TaskState.COMPLETED else "discarded")
            for record in expired:
                self._book.forget(record, "discarded")
            self._book.counters["discarded"] += len(expired)

        return Command(f"trim {limit}", self._broker.trim(limit), judge)

    # The operator.

    def hint_gone(self, worker: str, exempt: bool) -> Command:
        """It believes that the worker's container has ended; it may be wrong."""

        def judge(reply: bool) -> None:
            same("the reply", reply, self._roster.hint_gone(worker, exempt, self._book.clock.now_ms))

        return Command(f"hint_gone {worker}", self._registry.hint_gone(worker, "gone", exempt), judge)

    def lease(self, worker: str, lease_ms: int, *, vouch: bool) -> Command:
        """Vouches for a worker, or asks it to drain."""

        def judge(reply: int) -> None:
            until_ms = self._book.clock.now_ms + lease_ms
            same("the reply", reply, self._roster.lease(worker, until_ms, vouch=vouch))

        call = (self._registry.vouch if vouch else self._registry.drain)([worker], lease_ms)
        return Command(f"{'vouch' if vouch else 'drain'} {worker} {lease_ms}", call, judge)

    def _take_back(self, member: Member, record: Record) -> None:
        """What a death does to a task that was held: one that was held alone is charged."""
        self._book.release(record)
        if record.wished:
            self._book.cut_short(record)
            return
        record.recoveries += 1
        charged = member.held_at_death == 1 and not member.exempt
        record.crashes += charged
        if charged and record.crashes >= self._book.settings.crashes_max:
            self._book.bury(record, "its workers crashed")
        elif record.recoveries >= self._book.settings.recoveries_max:
            self._book.bury(record, "recovered without an end")
        else:
            record.state = TaskState.WAITING
            record.deaths += not member.exempt
        is_dead = record.state is TaskState.DEAD
        record.ended("dead" if is_dead else "crashed" if charged else "recovered")
