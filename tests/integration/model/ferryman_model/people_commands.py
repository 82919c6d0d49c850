"""What producers and people say to Redis: enqueue, revive, discard, cancel, hold, and the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ferryman.broker import Broker
from ferryman.new_task import Enqueued, NewTask
from ferryman.policy import QueuePolicy
from ferryman.protocol import Moved
from ferryman.task import TaskState
from ferryman_model.book import Book, Record
from ferryman_model.command import Command, same

COUNTED = (TaskState.WAITING, TaskState.DELAYED, TaskState.BLOCKED, TaskState.DEAD)


class PeopleCommands:
    """Commands of producers and people."""

    def __init__(self, book: Book, queue: str) -> None:
        self._book = book
        self._broker = Broker(queue)
        self._policy = QueuePolicy(queue)

    def enqueue(self, tasks: Sequence[NewTask]) -> Command:
        """New -> waiting or delayed."""

        def judge(reply: list[Enqueued]) -> None:
            same("the reply", reply, [self._accepted(task) for task in tasks])

        return Command(f"enqueue {' '.join(t.id for t in tasks)}", self._broker.enqueue(tasks), judge)

    def revive(self, ids: Sequence[str] | None, limit: int) -> Command:
        """Dead -> waiting."""

        def judge(reply: Moved) -> None:
            chosen = list(ids or [record.id for record in self._book.those(TaskState.DEAD)[:limit]])
            revived = [id for id in chosen if self._revived(id)]
            same("the reply", reply, Moved(revived, len(self._book.those(TaskState.DEAD))))
            self._book.counters["revived"] += len(revived)

        return Command(f"revive {' '.join(ids or ('the oldest', str(limit)))}", self._broker.revive(ids, limit), judge)

    def discard(self, state: TaskState, ids: Sequence[str] | None, limit: int) -> Command:
        """Waiting, delayed or dead -> gone; of completed tasks the kept status."""

        def judge(reply: Moved) -> None:
            if ids:
                expected = [id for id in dict.fromkeys(ids) if self._is(id, state)]
            elif state is TaskState.WAITING:  # in the order of a list that the model does not keep
                expected = [id for id in dict.fromkeys(reply.ids) if self._is(id, state)]
                assert len(expected) <= limit
            else:
                expected = [record.id for record in self._those(state)[:limit]]
            same("the reply's ids", reply.ids, expected)
            for id in expected:
                self._discard(self._book.records[id])
            if state is not TaskState.WAITING:
                same("the reply's left", reply.left, len(self._those(state)))

        title = f"discard {state} {' '.join(ids or ('from the front', str(limit)))}"
        return Command(title, self._broker.discard(state, ids, limit), judge)

    def cancel(self, id: str) -> Command:
        """One id, wherever it is."""

        def judge(reply: str) -> None:
            record = self._book.records.get(id)
            if record is None:
                same("the reply", reply, "missing")
            elif record.state in COUNTED:
                same("the reply", reply, "discarded")
                self._discard(record)
            else:
                same("the reply", reply, ("active" if record.state is TaskState.ACTIVE else "finished"))

        return Command(f"cancel {id}", self._broker.cancel(id), judge)

    def ask_to_stop(self, id: str) -> Command:
        """One that runs: a wish that stays with it."""

        def judge(reply: str) -> None:
            record = self._book.records.get(id)
            active = record is not None and record.state is TaskState.ACTIVE
            same("the reply", reply, "missing" if record is None else "asked" if active else record.state.value)
            if record is not None and active:
                record.wished = True

        return Command(f"ask to stop {id}", self._broker.ask_to_stop(id), judge)

    def hold(self, on: bool) -> Command:
        """Hold, or resume."""

        def judge(reply: int) -> None:
            self._book.settings.hold = int(on)

        return Command("hold" if on else "resume", self._policy.hold(on), judge)

    def write_policy(self, fields: Mapping[str, int]) -> Command:
        """The TaskQueue has changed."""

        def judge(reply: int) -> None:
            for name, value in fields.items():
                setattr(self._book.settings, name, value)

        title = "policy " + " ".join(f"{name}={value}" for name, value in fields.items())
        return Command(title, self._policy.write(fields, 1), judge)

    # What the model says of them.

    def _accepted(self, task: NewTask) -> Enqueued:
        if task.id in self._book.records:
            return Enqueued(task.id, False)
        if task.unique in self._book.owners:
            return Enqueued(self._book.owners[task.unique], False)
        self._book.accept(task)
        return Enqueued(task.id, True)

    def _revived(self, id: str) -> bool:
        record = self._book.records.get(id)
        if record is None or record.state is not TaskState.DEAD:
            return False
        if record.key:
            if self._book.owners.get(record.key, id) != id:
                return False
            self._book.owners[record.key] = id
        record.state, record.why_dead = TaskState.WAITING, ""
        record.attempt = record.crashes = record.recoveries = record.parks = record.deaths = 0
        return True

    def _is(self, id: str, state: TaskState) -> bool:
        return id in self._book.records and self._book.records[id].state is state

    def _discard(self, record: Record) -> None:
        counted = record.state in (TaskState.COMPLETED, TaskState.DISCARDED)
        self._book.forget(record, "completed" if record.state is TaskState.COMPLETED else "discarded")
        self._book.counters["discarded"] += not counted

    def _those(self, state: TaskState) -> list[Record]:
        return self._book.kept() if state is TaskState.COMPLETED else self._book.those(state)
