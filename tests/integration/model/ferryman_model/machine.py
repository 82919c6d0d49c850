"""QueueMachine: all rules together, what must hold after each step, and how every run ends."""

from __future__ import annotations

import sys

from hypothesis import note
from hypothesis.stateful import invariant

from ferryman.task import TaskState
from ferryman_model.command import Fate, same
from ferryman_model.invariants import check
from ferryman_model.outcome import End
from ferryman_model.people_rules import PeopleRules
from ferryman_model.scheduler_rules import SchedulerRules
from ferryman_model.worker import SimulatedWorker


class QueueMachine(SchedulerRules, PeopleRules):
    """Any number of workers, schedulers and people, one step at a time."""

    @invariant()
    def redis_is_as_the_model_says(self) -> None:
        """After every step."""
        self.photo, stats = self.stage.photograph()
        check(self.book, self.photo, stats)

    def teardown(self) -> None:
        """Whatever has happened: once everybody is dead, one honest worker brings every task to its end."""
        if sys.exc_info()[0] is not None:
            return  # a step has failed, and that is what is to be seen
        note("    the end: everybody dies, what is under way arrives, and one honest worker does the rest")
        self.workers.clear()
        while self.network.under_way:
            self.network.deliver(0)
        self.redis_is_as_the_model_says()
        self._bury_everybody()
        self._empty_handed()
        self._work_off()
        self._nothing_is_lost()

    def _bury_everybody(self) -> None:
        self.stage.advance(100_000)
        looks = 0
        while members := list(self.book.roster.members):
            for worker in members:
                self.say("scheduler 1", self.schedulers.recover(worker, 2))
                self.say("scheduler 2", self.schedulers.recover(worker, 1))
            self.redis_is_as_the_model_says()
            self.stage.advance(1_000)
            looks += 1
            assert looks < 20, f"{members} are never declared dead"

    def _empty_handed(self) -> None:
        for _ in range(2):
            self.say("scheduler", self.schedulers.recover_handed(200))
            self.stage.advance(2_000)
        self.say("scheduler", self.schedulers.recover_handed(200))
        photo, _ = self.stage.photograph()
        same("handed, after all looks", photo.handed, [])

    def _work_off(self) -> None:
        self.say("person", self.people.hold(False))
        self.say("scheduler", self.schedulers.promote(200))
        honest = SimulatedWorker("honest", "", self.book, self.network, self.stage.queue)
        honest.join(3, Fate.ANSWERED)
        for _ in range(100):
            honest.exchange(3, Fate.ANSWERED)
            while startable := honest.startable:
                honest.end(startable[0], End.WELL)
            self.redis_is_as_the_model_says()
            # What is left in the list may be ghosts.
            if not (self.photo.waiting or self.book.those(TaskState.WAITING) or honest.outbox or honest.suspect):
                break
        honest.stop()
        honest.leave(Fate.ANSWERED)

    def _nothing_is_lost(self) -> None:
        photo, stats = self.stage.photograph()
        check(self.book, photo, stats)
        for life in self.book.accepted - self.book.gone.keys():
            record = next(record for record in self.book.records.values() if record.life == life)
            kept = record.state in (TaskState.COMPLETED, TaskState.DISCARDED)
            ended = kept or (record.state is TaskState.DEAD and record.why_dead)
            assert ended, f"{record.id} is {record.state} for ever"
        same("waiting", (photo.waiting, photo.handed, stats.waiting), ([], [], 0))
        same("workers", photo.workers, {})
