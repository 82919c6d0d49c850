"""Scene: what every rule of the machine works with, and how a rule picks somebody who is able to act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from ferryman_model.book import Book
from ferryman_model.command import Command, Fate, Network
from ferryman_model.odds import Odds
from ferryman_model.people_commands import PeopleCommands
from ferryman_model.photo import Photo
from ferryman_model.scheduler_commands import SchedulerCommands
from ferryman_model.stage import Stage
from ferryman_model.worker import SimulatedWorker

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., None])

#: Containers, and the slot of each: one has no lock, so nobody knows its predecessor.
PLACES = {"x": "pod.x", "y": "pod.y", "z": ""}
#: More would make the server's replies the only thing that ever comes late.
MOST_UNDER_WAY = 5

#: Most connections hold.
fates = st.sampled_from([Fate.ANSWERED, Fate.ANSWERED, *Fate])


class Scene(RuleBasedStateMachine):
    """One run of the machine: an empty queue, no worker, nothing under way."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self._rules_strategy = Odds(self)
        self.stage.clear()
        self.book = Book(self.stage)
        self.network = Network(self.stage, self.book)
        self.workers: dict[str, SimulatedWorker] = {}
        self.places: dict[str, str] = {}  # place -> id of the worker there
        self.photo = Photo()
        self.schedulers = SchedulerCommands(self.book, self.stage.queue)
        self.people = PeopleCommands(self.book, self.stage.queue)

    def fate(self, wished: Fate) -> Fate:
        """At most so much can be under way."""
        late = wished in (Fate.LATE, Fate.TORN)
        return Fate.UNANSWERED if late and len(self.network.under_way) >= MOST_UNDER_WAY else wished

    def say(self, who: str, command: Command, fate: Fate = Fate.ANSWERED) -> Any:
        """One command of somebody who keeps nothing in mind. Returns the reply, or None."""
        replies = self.network.send(who, [command], self.fate(fate))
        return replies[0] if replies else None

    def has_work(self, worker: SimulatedWorker) -> bool:
        """There is something that it would do next. An idle one waits for a task."""
        waits = worker.may_fetch and not (worker.startable or worker.handed or worker.outbox or worker.compares)
        return bool(self.photo.waiting) if waits else worker.settled or not worker.quiet or bool(worker.outbox)


def one_of(pick: Callable[[Any], Sequence[T]]) -> st.SearchStrategy[T]:
    """One of what `pick` finds on the scene."""
    return st.runner().flatmap(lambda scene: st.sampled_from(pick(scene)))


def if_any(pick: Callable[[Any], object]) -> Callable[[F], F]:
    """The rule is possible when `pick` finds something."""
    possible: Callable[[F], F] = precondition(lambda scene: bool(pick(scene)))
    return possible


def worker_rule(able: Callable[[Any, SimulatedWorker], Any], **strategies: st.SearchStrategy[Any]) -> Callable[[F], F]:
    """A rule for one `worker` among those who are able to act."""

    def those(scene: Scene) -> list[str]:
        return [worker.id for worker in scene.workers.values() if able(scene, worker)]

    untyped_rule: Any = rule  # its overloads can't see that no strategy is named `target`

    def decorate(act: F) -> F:
        made: F = untyped_rule(worker=one_of(those), **strategies)(if_any(those)(act))
        return made

    return decorate
