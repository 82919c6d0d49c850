"""How tasks leave active, as the acker says it to Redis: complete, retry, dead_letter, crash, requeue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.protocol import Completion, ExitReply, Outcomes
from ferryman.task import TaskState
from ferryman_model.book import Book, Record
from ferryman_model.command import Command, same
from ferryman_model.outcome import End, Outcome

RETRY_AFTER_MS = 5_000


class ExitCommands:
    """Exits of one queue's tasks, all fenced: only who holds that very delivery, and was not declared dead, ends it."""

    def __init__(self, book: Book, queue: str) -> None:
        self._book = book
        self._broker = Broker(queue)

    def of(self, worker: str, outcomes: Sequence[Outcome]) -> Iterator[Command]:
        """All completions in one call, each other exit in its own, all returns in one."""
        if completed := [outcome for outcome in outcomes if outcome.end is End.WELL]:
            done = [Completion(outcome.id, outcome.token) for outcome in completed]
            yield self._exit("complete", self._broker.complete(worker, done), worker, completed, self._complete)
        for outcome in outcomes:
            id, token, broker = outcome.id, outcome.token, self._broker
            match outcome.end:
                case End.DEAD_LETTER:
                    call = broker.dead_letter(worker, id, token, error="no")
                    yield self._exit("dead_letter", call, worker, [outcome], self._dead_letter)
                case End.CRASH:
                    call = broker.crash(worker, id, token, reason="killed")
                    yield self._exit("crash", call, worker, [outcome], self._crash)
                case End.PARK:
                    call = broker.retry(worker, id, token, delay_ms=RETRY_AFTER_MS, spend=False, park=True)
                    yield self._exit("park", call, worker, [outcome], self._park)
                case End.RETRY:
                    call = broker.retry(worker, id, token, delay_ms=RETRY_AFTER_MS, error="no")
                    yield self._exit("retry", call, worker, [outcome], self._retry)
                case End.RETRY_UNSPENT:
                    call = broker.retry(worker, id, token, delay_ms=RETRY_AFTER_MS, spend=False)
                    yield self._exit("retry unspent", call, worker, [outcome], self._retry_unspent)
        if returned := [outcome for outcome in outcomes if outcome.end is None]:
            held = [(outcome.id, outcome.token) for outcome in returned]
            yield self._exit("requeue", self._broker.requeue(worker, held), worker, returned[::-1], self._requeue)

    def _exit(
        self,
        verb: str,
        call: Call[Any],
        worker: str,
        outcomes: Sequence[Outcome],
        moved: Callable[[list[Record]], None],
    ) -> Command:
        def judge(reply: Outcomes | ExitReply) -> None:
            leaving: list[Record] = []
            not_held: list[str] = []
            expected = ExitReply.OK if self._book.roster.owns(worker) else ExitReply.UNREGISTERED
            if expected is ExitReply.OK:
                for outcome in outcomes:
                    if record := self._book.holds(worker, outcome.id, outcome.token):
                        self._book.release(record)
                        leaving.append(record)
                    else:
                        not_held.append(outcome.id)
            if isinstance(reply, Outcomes):
                same("the reply", reply, Outcomes(expected, not_held))
            cancelled = verb != "complete" and [record for record in leaving if record.wished]
            if expected is ExitReply.OK:
                for record in cancelled or ():
                    self._book.cut_short(record)
                moved([record for record in leaving if record not in (cancelled or ())])
            if isinstance(reply, ExitReply):
                spent = verb == "crash" and any(record.state is TaskState.DEAD for record in leaving)
                ends = ExitReply.CANCELLED if cancelled else ExitReply.DEAD if spent else expected
                same("the reply", reply, ExitReply.NOT_HELD if not_held else ends)

        title = " ".join([verb, *(f"{outcome.id}#{outcome.token}" for outcome in outcomes)])
        return Command(title, call, judge, {outcome.id: outcome.life for outcome in outcomes})

    def _complete(self, records: list[Record]) -> None:
        """Kept statuses beyond their number go with the next batch, the oldest first, even if it is all stale."""
        book, keep = self._book, self._book.settings.completed_max
        for record in records:
            assert (record.life, record.deliveries) in book.runs, f"{record.id} is completed, but has not run"
            book.give_key_back(record)
            record.state, record.key, record.ended_ms = TaskState.COMPLETED, "", book.clock.now_ms
            record.deaths = 0
        book.counters["completed"] += len(records)
        kept = book.kept()
        if not keep:
            surplus = [*records, *(record for record in kept if record not in records)]
        else:
            surplus = kept[: max(0, len(kept) - keep)]
        for record in surplus:
            book.forget(record, "completed" if record.state is TaskState.COMPLETED else "discarded")

    def _dead_letter(self, records: list[Record]) -> None:
        for record in records:
            record.ended("dead")
            record.attempt, record.deaths = record.attempt + 1, 0
            self._book.bury(record, "dead-lettered")
            self._book.counters["failed"] += 1

    def _crash(self, records: list[Record]) -> None:
        for record in records:
            record.state, record.crashes = TaskState.WAITING, record.crashes + 1
            is_last = record.crashes >= self._book.settings.crashes_max
            record.ended("dead" if is_last else "crashed")
            if is_last:
                self._book.bury(record, "its processes crashed")
                self._book.counters["dead_by_crash"] += 1

    def _requeue(self, records: list[Record]) -> None:
        for record in records:
            record.state = TaskState.WAITING

    def _park(self, records: list[Record]) -> None:
        for record in records:
            self._delay(record)
            record.parked, record.parks = True, record.parks + 1
            self._book.counters["parked"] += 1

    def _retry_unspent(self, records: list[Record]) -> None:
        for record in records:
            self._delay(record)
            record.ended("retried")
            record.deaths = 0
            self._book.counters["retried"] += 1

    def _retry(self, records: list[Record]) -> None:
        self._retry_unspent(records)
        for record in records:
            record.attempt += 1
            self._book.counters["failed"] += 1

    def _delay(self, record: Record) -> None:
        record.state, record.due_ms = TaskState.DELAYED, self._book.clock.now_ms + RETRY_AFTER_MS
