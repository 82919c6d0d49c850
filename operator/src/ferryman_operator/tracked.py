"""Tracked: what the operator remembers of one TaskQueue between passes.

All of it can be lost: a new operator measures anew and removes no worker before a fresh cooldown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from ferryman.durability import Durability
from ferryman.policy import Claim
from ferryman_operator import names
from ferryman_operator.autoscaler import Decision, Memory
from ferryman_operator.backlog import Reading, Unmeasured
from ferryman_operator.drain import Plan
from ferryman_operator.interruptions import Ending
from ferryman_operator.pause import Pause
from ferryman_operator.rates import Rates
from ferryman_operator.spec import SpecError, TaskQueueSpec
from ferryman_operator.story import Told

#: What of an object's metadata tells that there is something new to read.
_READ: Final = ("generation", "annotations")


@dataclass(slots=True)
class Tracked:
    """One TaskQueue."""

    kind: ClassVar[str] = names.KIND

    uid: str
    namespace: str
    name: str
    body: Mapping[str, Any]
    spec: TaskQueueSpec | None = None  # the last one that could be used
    invalid: str = ""  # what is wrong with the present one
    pause: Pause = field(default_factory=Pause)
    epoch: int | None = None  # of the lease when it was last held
    in_pass: bool = False  # a pass is at work on it; the next one leaves it out

    reading: Reading | Unmeasured | None = None
    measured_s: float = float("-inf")  # when Redis last answered
    durability: Durability | None = None  # what its Redis says of itself; None when that is not known now
    rates: Rates | None = None
    memory: Memory | None = None
    decision: Decision | None = None
    plan: Plan | None = None

    claim_granted: bool = False
    claimed_by: str = ""
    claim_asked_s: float = float("-inf")
    policy_generation: int | None = None
    policy_deadlines_ms: dict[str, int] | None = None  # the workers' when the policy was first seen in Redis
    policy_behind: list[str] = field(default_factory=list)  # workers that may not have read it yet
    hinted: set[str] = field(default_factory=set)
    explained: set[str] = field(
        default_factory=set
    )  # ended workers of whose end Redis was told after they were recovered
    held: dict[str, int] = field(default_factory=dict)  # tasks of each worker, as of the last measurement
    ended: set[str] | None = None  # workers whose end is told, or was there at the first look
    took_s: float = float("-inf")  # when pods were last taken: fewer workers, or a rollout
    endings: dict[str, Ending] = field(default_factory=dict)  # pods on their way out, by uid
    interrupted: int = 0  # tasks that had to begin anew because their worker's pod was taken
    tell: list[Told] = field(default_factory=list)  # events that the next report posts

    refusal: tuple[str, str] | None = None  # what the API server refused in this pass
    rejected: dict[str, str] = field(default_factory=dict)  # kind -> why the API server finds it invalid
    reported_s: float = float("-inf")

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Tracked:
        """Begin to track an object."""
        metadata = body["metadata"]
        tracked = cls(metadata["uid"], metadata["namespace"], metadata["name"], body)
        tracked._read(body)
        return tracked

    def update(self, body: Mapping[str, Any]) -> None:
        """Take in a newer version; a spec that can't be used leaves the last good one in force."""
        # Annotations count no generation.
        changed = any(body["metadata"].get(part) != self.body["metadata"].get(part) for part in _READ)
        self.body = body
        if changed:
            self._read(body)

    def claim(self, cluster: str) -> Claim:
        """The claim of this TaskQueue on its queue."""
        return Claim(cluster, self.namespace, self.name, self.uid)

    @property
    def is_ours(self) -> bool:
        """Whether this TaskQueue, and no other, owns its queue, as far as is known."""
        return not self.claimed_by

    def _read(self, body: Mapping[str, Any]) -> None:
        try:
            pause = Pause.from_annotations(body["metadata"].get("annotations") or {})
            self.spec, self.pause, self.invalid = TaskQueueSpec.from_body(body), pause, ""
        except (SpecError, KeyError, TypeError, ValueError) as error:
            self.invalid = str(error) if isinstance(error, SpecError) else f"the spec cannot be read: {error!r}"
