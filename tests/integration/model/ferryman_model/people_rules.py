"""What producers and people may do next. Few ids and keys, so that they meet themselves again."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from ferryman.new_task import NewTask
from ferryman.task import TaskState
from ferryman_model.command import Fate
from ferryman_model.scene import Scene, fates, if_any, one_of

ids = st.sampled_from("abcde")
priorities = st.sampled_from([0, 0, 0, 1, 2, -1])
new_tasks = st.builds(
    NewTask,
    id=ids,
    name=st.just("task"),
    args=st.just(b""),  # its life, see below
    delay_ms=st.sampled_from([0, 0, 0, 5_000]),
    priority=priorities,
    unique=st.sampled_from(["", "", "", "one", "two"]),
)
policies = st.fixed_dictionaries(
    {},
    optional={
        "crashes_max": st.sampled_from([1, 2, 3]),
        "recoveries_max": st.sampled_from([2, 100]),
        "completed_max": st.sampled_from([0, 1, 10_000]),
        "completed_ms": st.sampled_from([20_000, 3_600_000]),
        "dead_ms": st.sampled_from([20_000, 2_592_000_000]),
    },
)


def discardable(scene: Scene) -> list[TaskState]:
    """States that have any task."""
    left_alone = (TaskState.ACTIVE, TaskState.DISCARDED)
    return [state for state in TaskState if state not in left_alone and scene.book.those(state)]


def waiting(scene: Scene) -> list[str]:
    """Ids of the tasks that wait."""
    return [record.id for record in scene.book.those(TaskState.WAITING)]


class PeopleRules(Scene):
    """Producers that send again, and people that change their minds."""

    def __init__(self) -> None:
        super().__init__()
        self.lives = 0

    @initialize(tasks=st.lists(new_tasks, min_size=1, max_size=5))
    def something_to_do(self, tasks: list[NewTask]) -> None:
        self.enqueue(tasks, Fate.ANSWERED)

    @rule(tasks=st.lists(new_tasks, min_size=1, max_size=3), fate=fates)
    def enqueue(self, tasks: list[NewTask], fate: Fate) -> None:
        self.say("producer", self.people.enqueue([self.live(task) for task in tasks]), fate)

    @if_any(lambda self: self.book.those(TaskState.DEAD))
    @rule(chosen=st.lists(ids, max_size=3), limit=st.integers(1, 3), fate=fates)
    def revive(self, chosen: list[str], limit: int, fate: Fate) -> None:
        """The chosen, or the oldest."""
        self.say("person", self.people.revive(chosen or None, limit), fate)

    @if_any(discardable)
    @rule(state=one_of(discardable), chosen=st.lists(ids, max_size=2), limit=st.integers(1, 3), fate=fates)
    def discard(self, state: TaskState, chosen: list[str], limit: int, fate: Fate) -> None:
        """The chosen, or from the front."""
        self.say("person", self.people.discard(state, chosen or None, limit), fate)

    @if_any(lambda self: self.book.records)
    @rule(task=one_of(lambda self: sorted(self.book.records)), fate=fates)
    def cancel(self, task: str, fate: Fate) -> None:
        self.say("person", self.people.cancel(task), fate)

    @if_any(lambda self: self.book.those(TaskState.ACTIVE))
    @rule(task=one_of(lambda self: sorted(self.book.records)), fate=fates)
    def ask_to_stop(self, task: str, fate: Fate) -> None:
        """Whether its worker hears of it or not, and whatever it does then."""
        self.say("person", self.people.ask_to_stop(task), fate)

    @if_any(waiting)
    @rule(task=one_of(waiting), priority=priorities)
    def replace(self, task: str, priority: int) -> None:
        """Cancelled and enqueued again: what stood in the line may still stand there."""
        self.say("person", self.people.cancel(task))
        self.say("producer", self.people.enqueue([self.live(NewTask(task, "task", b"", priority=priority))]))

    @rule(fields=policies, hold=st.sampled_from([False, False, False, True]))
    def change_policy(self, fields: dict[str, int], hold: bool) -> None:
        if hold != self.book.settings.hold:
            self.say("person", self.people.hold(hold))
        if fields:
            self.say("operator", self.people.write_policy(fields))

    def live(self, task: NewTask) -> NewTask:
        """With arguments of its own, so that every run is known by the life that it belongs to."""
        self.lives += 1
        return NewTask(task.id, task.name, b"%d" % self.lives, b"", task.delay_ms, 0, task.priority, task.unique)
