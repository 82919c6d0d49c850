"""What two schedulers and the operator may do next."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from ferryman.task import TaskState
from ferryman_model.command import Fate, same
from ferryman_model.scene import Scene, fates, if_any, one_of, worker_rule
from ferryman_model.worker_rules import WorkerRules, registered

limits = st.integers(1, 3)
schedulers = st.sampled_from(["scheduler 1", "scheduler 2"])


def silent(scene: Scene) -> list[str]:
    """Those whose deadline has passed."""
    return scene.book.roster.silent(scene.stage.now_ms)


class SchedulerRules(WorkerRules):
    """Two schedulers, each with a list of its own of who was silent when it last looked."""

    def __init__(self) -> None:
        super().__init__()
        self.seen_silent: dict[str, list[str]] = {"scheduler 1": [], "scheduler 2": []}

    @if_any(lambda self: self.book.those(TaskState.DELAYED))
    @rule(limit=limits, fate=fates)
    def promote(self, limit: int, fate: Fate) -> None:
        self.say("scheduler", self.schedulers.promote(limit), fate)

    @if_any(lambda self: silent(self) or any(self.seen_silent.values()))
    @rule(scheduler=schedulers, limit=limits, fate=fates)
    def look(self, scheduler: str, limit: int, fate: Fate) -> None:
        """At one of those that it saw, however long ago; or who is silent now."""
        if self.seen_silent[scheduler]:
            worker = self.seen_silent[scheduler].pop(0)
            self.say(scheduler, self.schedulers.recover(worker, limit), fate)
        else:
            self.seen_silent[scheduler] = self.say(scheduler, self.schedulers.look())

    @if_any(silent)
    @rule(worker=one_of(silent), limit=limits, pause_ms=st.sampled_from([600, 1_000, 2_500]), both=st.booleans())
    def look_until_a_verdict(self, worker: str, limit: int, pause_ms: int, both: bool) -> None:
        """At regular intervals, as a scheduler does; or as two do, which look at the same instant."""
        while (reply := self.say("scheduler 1", self.schedulers.recover(worker, limit))).verdict == "suspected":
            if both:
                self.say("scheduler 2", self.schedulers.recover(worker, limit))
            self.stage.advance(pause_ms)
        assert reply.verdict in ("dead", "vouched")

    @worker_rule(lambda scene, w: w.startable or w.outbox, limit=limits)
    def lose_a_worker(self, worker: str, limit: int) -> None:
        """It dies with what it holds, the others go on, and its death is found."""
        self.vanish(worker)
        self.time_passes(16_000, beating=True)
        if worker in silent(self):
            self.look_until_a_verdict(worker, limit, 1_000, both=False)

    @if_any(lambda self: self.photo.handed or self.photo.handed_seen)
    @rule(limit=limits, twice=st.booleans())
    def recover_handed(self, limit: int, twice: bool) -> None:
        """Two looks put back what its worker has not fetched."""
        self._look_at_handed("scheduler 1", limit)
        if twice:
            self.stage.advance(2_100)
            self._look_at_handed("scheduler 2", limit)

    def _look_at_handed(self, scheduler: str, limit: int) -> None:
        photo, _ = self.stage.photograph()
        long_ago_ms = self.stage.now_ms - 2_000
        forgotten = [
            e for e in photo.handed[-limit:] if int(photo.handed_seen.get(e, self.stage.now_ms)) <= long_ago_ms
        ]
        same("put back", self.say(scheduler, self.schedulers.recover_handed(limit)), len(forgotten))

    @if_any(lambda self: self.photo.completed or self.photo.dead)
    @rule(limit=limits, fate=fates)
    def trim(self, limit: int, fate: Fate) -> None:
        self.say("scheduler", self.schedulers.trim(limit), fate)

    @if_any(registered)
    @rule(worker=one_of(registered), tells=st.sampled_from(["gone", "exempt", "vouch", "drain"]), fate=fates)
    def operator_tells(self, worker: str, tells: str, fate: Fate) -> None:
        """Of a pod that it has seen; it may be wrong, or late."""
        if tells in ("gone", "exempt"):
            self.say("operator", self.schedulers.hint_gone(worker, tells == "exempt"), fate)
        else:
            self.say("operator", self.schedulers.lease(worker, 10_000, vouch=tells == "vouch"), fate)
