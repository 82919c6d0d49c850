"""Roster: the model of who is registered, what each promised, and who is dead after which looks."""

from __future__ import annotations

from dataclasses import dataclass, field

#: As recover.lua has them.
LOOKS_APART_MS, LOOKS_GAP_MS = 400, 5_000
VOUCH_MAX_MS = 60_000


@dataclass(slots=True)
class Looks:
    """Looks taken at one passed deadline."""

    deadline_ms: int
    count: int
    first_ms: int
    last_ms: int


@dataclass(slots=True)
class Member:
    """One registered worker."""

    id: str
    slot: str
    beat_ms: int
    deadline_ms: int  # 0 = declared dead
    held: list[str] = field(default_factory=list)  # newest first, as in its active list
    hint: bool = False
    exempt: bool = False
    vouched_until_ms: int = 0
    draining_until_ms: int = 0
    alone: bool = False  # what it fetched last was a suspect
    looks: Looks | None = None
    held_at_death: int | None = None

    @property
    def declared_dead(self) -> bool:
        return self.deadline_ms == 0


class Roster:
    """Everybody registered. Moments are the stage's."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.slots: dict[str, str] = {}

    def owns(self, worker: str) -> bool:
        """Registered and not declared dead: the only ones who may take tasks, and whose outcomes count."""
        return worker in self.members and not self.members[worker].declared_dead

    def register(self, worker: str, slot: str, timeout_ms: int, beat_ms: int, now_ms: int) -> str | None:
        """Returns who else is in the slot: then nothing happens."""
        holder = self.slots.get(slot) if slot else None
        if holder in self.members and holder != worker:
            return holder
        member = self.members.setdefault(worker, Member(worker, slot, beat_ms, 0))
        member.deadline_ms = now_ms + timeout_ms
        if slot:
            self.slots[slot] = worker
        return None

    def declare_dead(self, worker: str) -> bool:
        """Its end is proven. It counts as hinted, which matters to nobody who is dead."""
        if worker not in self.members:
            return False
        self.members[worker].deadline_ms = 0
        self.members[worker].hint = True
        return True

    def beat(self, worker: str, timeout_ms: int, now_ms: int) -> bool:
        """Moves the deadline on, unless the worker was declared dead."""
        if not self.owns(worker):
            return False
        member = self.members[worker]
        member.deadline_ms = now_ms + timeout_ms
        if member.hint:
            member.hint = member.exempt = False
        return True

    def hint_gone(self, worker: str, exempt: bool, now_ms: int) -> bool:
        """Two silent beats are enough from now on."""
        if not self.owns(worker):
            return False
        member = self.members[worker]
        member.deadline_ms = min(member.deadline_ms, now_ms + 2 * member.beat_ms)
        member.hint, member.vouched_until_ms = True, 0
        member.exempt = member.exempt or exempt
        return True

    def lease(self, worker: str, until_ms: int, *, vouch: bool) -> int:
        """Vouches for a worker, or drains it."""
        if worker not in self.members:
            return 0
        if vouch:
            self.members[worker].vouched_until_ms = until_ms
        else:
            self.members[worker].draining_until_ms = until_ms
        return 1

    def unregister(self, worker: str) -> bool:
        """Leaves, if it holds nothing."""
        if worker in self.members and self.members[worker].held:
            return False
        self.remove(worker)
        return True

    def remove(self, worker: str) -> None:
        """Forgets it."""
        member = self.members.pop(worker, None)
        if member and self.slots.get(member.slot) == worker:
            del self.slots[member.slot]

    def silent(self, now_ms: int) -> list[str]:
        """Whose deadline has passed, the longest silent first."""
        late = [(m.deadline_ms, m.id) for m in self.members.values() if m.deadline_ms <= now_ms]
        return [worker for _, worker in sorted(late)]

    def look(self, worker: str, now_ms: int) -> str:
        """The verdict of one look: alive, suspected, vouched, dead or unknown."""
        member = self.members.get(worker)
        if member is None:
            return "unknown"
        if member.declared_dead:
            return "dead"
        if member.deadline_ms > now_ms:
            return "alive"
        if member.vouched_until_ms > now_ms and now_ms - member.deadline_ms < VOUCH_MAX_MS:
            return "vouched"
        looks = member.looks
        if looks and looks.deadline_ms == member.deadline_ms and now_ms - looks.last_ms < LOOKS_GAP_MS:
            if now_ms - looks.last_ms < LOOKS_APART_MS:
                return "suspected"
            looks.count, looks.last_ms = looks.count + 1, now_ms
        else:
            looks = member.looks = Looks(member.deadline_ms, 1, now_ms, now_ms)
        silent_ms = now_ms - looks.first_ms
        hinted = member.hint and looks.count >= 2 and silent_ms >= member.beat_ms
        if hinted or (looks.count >= 3 and silent_ms >= 2 * member.beat_ms):
            member.deadline_ms, member.looks = 0, None
            return "dead"
        return "suspected"
