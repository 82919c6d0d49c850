"""What workers may do next, and what may happen to them."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from ferryman.task import TaskState
from ferryman_model.command import Fate
from ferryman_model.exit_commands import ExitCommands
from ferryman_model.outcome import End, Outcome
from ferryman_model.scene import PLACES, Scene, fates, if_any, one_of, worker_rule
from ferryman_model.worker import SimulatedWorker
from ferryman_model.worker_commands import WorkerCommands

#: Half of all runs end well.
ends = st.sampled_from([End.WELL] * 4 + list(End))
limits = st.integers(1, 3)


class Mishap(StrEnum):
    """What comes between."""

    CRASH = "crash"  # between any two commands; what it sent may still arrive
    SIGTERM = "SIGTERM"
    GIVES_BACK = "gives back"  # what it fetched ahead waits here for too long
    HALF_OPEN = "half-open"  # a BLMOVE is out when the connection breaks, and takes a task some day


def free(scene: WorkerRules) -> list[str]:
    """Places without a process."""
    return [place for place in PLACES if place not in scene.places]


def registered(scene: WorkerRules) -> list[str]:
    """Ids of all workers that Redis knows."""
    return sorted(scene.book.roster.members)


def active(scene: WorkerRules) -> list[str]:
    """Ids of the tasks that somebody holds."""
    return [record.id for record in scene.book.those(TaskState.ACTIVE)]


class WorkerRules(Scene):
    """One worker process at a time in each place."""

    def __init__(self) -> None:
        super().__init__()
        self.born = 0
        self.commands = WorkerCommands(self.book, self.stage.queue)
        self.exits = ExitCommands(self.book, self.stage.queue)

    @initialize()
    def two_workers(self) -> None:
        self.start("x", Fate.ANSWERED)
        self.start("z", Fate.ANSWERED)

    @if_any(free)
    @rule(place=one_of(free), fate=fates)
    def start(self, place: str, fate: Fate) -> None:
        """A process starts in a container, perhaps in that of a dead one."""
        self.born += 1
        worker = SimulatedWorker(f"{place}{self.born}", PLACES[place], self.book, self.network, self.stage.queue)
        self.workers[worker.id], self.places[place] = worker, worker.id
        worker.join(3, self.fate(fate))

    @worker_rule(Scene.has_work, limit=limits, how=ends, fate=fates)
    def work(self, worker: str, limit: int, how: End, fate: Fate) -> None:
        """The next thing that this worker would do."""
        one, fate = self.workers[worker], self.fate(fate)
        if one.settled:
            one.leave(fate)
            self.vanish(worker)
        elif not one.joined:
            one.join(limit, fate)
        elif one.startable:
            one.end(one.startable[0], how)
        elif one.may_fetch and not (one.handed or one.outbox or one.compares):
            one.listen(fate)
        else:
            one.exchange(limit if one.may_fetch else 0, fate)

    @worker_rule(Scene.has_work, how=ends)
    def work_undisturbed(self, worker: str, how: End) -> None:
        """Three steps, and every one is answered."""
        for _ in range(3):
            if worker in self.workers and self.has_work(self.workers[worker]):
                self.work(worker, 3, how, Fate.ANSWERED)

    @worker_rule(lambda scene, w: w.may_fetch, limit=limits, fate=fates)
    def fetch_ahead(self, worker: str, limit: int, fate: Fate) -> None:
        """Whatever it holds already."""
        self.workers[worker].exchange(limit, self.fate(fate))

    @worker_rule(lambda scene, w: w.joined and not w.disowned, fate=fates)
    def beat(self, worker: str, fate: Fate) -> None:
        """From its child process."""
        self.workers[worker].beat(self.fate(fate))

    @worker_rule(lambda scene, w: w.joined, mishap=st.sampled_from(Mishap))
    def fall_ill(self, worker: str, mishap: Mishap) -> None:
        """Something comes between."""
        one = self.workers[worker]
        match mishap:
            case Mishap.CRASH:
                self.vanish(worker)
            case Mishap.SIGTERM:
                one.stop()
            case Mishap.GIVES_BACK:
                one.give_back()
            case Mishap.HALF_OPEN if one.may_fetch and not one.handed:
                one.listen(self.fate(Fate.LATE))

    @worker_rule(lambda scene, w: w.startable or w.outbox)
    def crash_at_work(self, worker: str) -> None:
        """The most interesting moment."""
        self.vanish(worker)

    @worker_rule(lambda scene, w: w.serves and not w.quiet and scene.stage.now_ms > w.promised_ms)
    def notice_silence(self, worker: str) -> None:
        """No beat got through for as long as was promised: it stops its code by itself. One that sleeps does not."""
        self.workers[worker].stop()

    @if_any(lambda self: self.network.under_way)
    @rule(position=st.integers(0, 4))
    def deliver(self, position: int) -> None:
        """What came late arrives after all."""
        self.network.deliver(position % len(self.network.under_way))

    @if_any(lambda self: self.network.copies)
    @rule(position=st.integers(0, 7))
    def deliver_a_copy(self, position: int) -> None:
        """An exit that was sent twice arrives twice."""
        self.network.deliver_a_copy(position % len(self.network.copies))

    @if_any(registered)
    @rule(worker=one_of(registered), limit=limits)
    def deliver_an_old_fetch(self, worker: str, limit: int) -> None:
        """One that was sent over a connection that broke: its process, if there is any, does not hear of it."""
        self.say(f"{worker}, late", self.commands.fetch(worker, limit, None))

    @if_any(lambda self: self.book.those(TaskState.ACTIVE) and self.book.roster.members)
    @rule(worker=one_of(registered), task=one_of(active), how=st.sampled_from([*End, None]), behind=st.integers(0, 1))
    def send_a_wrong_exit(self, worker: str, task: str, how: End | None, behind: int) -> None:
        """With the token of an earlier delivery, or for a task that another holds: what no worker of ours would say."""
        record = self.book.records[task]
        token = record.deliveries - behind
        if not self.book.holds(worker, task, token):
            [command] = self.exits.of(worker, [Outcome(task, token, record.life, how)])
            self.say(worker, replace(command, lives={}))  # and never again

    @rule(ms=st.sampled_from([500, 2_100, 5_000, 16_000, 70_000]), beating=st.booleans())
    def time_passes(self, ms: int, beating: bool) -> None:
        """Workers beat meanwhile; or none does, because all sleep or Redis is out of their reach."""
        while ms > 0:
            step = min(ms, 10_000)
            self.stage.advance(step)
            ms -= step
            for worker in list(self.workers.values()):
                if beating and worker.joined and not worker.disowned:
                    worker.beat(Fate.ANSWERED)

    def vanish(self, worker: str) -> None:
        """No process any more."""
        del self.workers[worker]
        self.places = {place: id for place, id in self.places.items() if id != worker}
