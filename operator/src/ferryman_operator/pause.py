"""Pause: annotations by which a person stops the operator from changing the number of workers.

They are KEDA's four verbs, and they concern workers only: tasks are handed out and run as before. Who wants tasks to
rest sets `spec.stopPolicy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ferryman_operator.spec import SpecError

#: The number of workers stays as it is.
PAUSED: Final = "ferryman.dev/paused"
#: There are exactly so many workers.
PAUSED_REPLICAS: Final = "ferryman.dev/paused-replicas"
#: No worker is removed.
PAUSED_SCALE_IN: Final = "ferryman.dev/paused-scale-in"
#: No worker is added.
PAUSED_SCALE_OUT: Final = "ferryman.dev/paused-scale-out"

ANNOTATIONS: Final = (PAUSED, PAUSED_REPLICAS, PAUSED_SCALE_IN, PAUSED_SCALE_OUT)


@dataclass(frozen=True, slots=True)
class Pause:
    """What may not change. `replicas` is an exact number, and stronger than all else."""

    replicas: int | None = None
    scale_in: bool = False
    scale_out: bool = False

    @classmethod
    def from_annotations(cls, annotations: Mapping[str, str]) -> Pause:
        """Read them. Raises SpecError naming the annotation."""
        everything = _flag(annotations, PAUSED)
        return cls(
            replicas=_number(annotations),
            scale_in=everything or _flag(annotations, PAUSED_SCALE_IN),
            scale_out=everything or _flag(annotations, PAUSED_SCALE_OUT),
        )

    @property
    def complete(self) -> bool:
        """Whether the number of workers stands still."""
        return self.replicas is not None or (self.scale_in and self.scale_out)

    @property
    def sentence(self) -> str:
        """What is paused, by which annotation; "" when nothing is."""
        if self.replicas is not None:
            return f"{PAUSED_REPLICAS} asks for {self.replicas} workers"
        if self.complete:
            return f"{PAUSED} keeps the number of workers"
        if self.scale_in:
            return f"{PAUSED_SCALE_IN} keeps all workers"
        return f"{PAUSED_SCALE_OUT} lets no worker be added" if self.scale_out else ""

    def bound(self, wanted: int, current: int) -> int:
        """`wanted` as far as it is allowed."""
        if self.replicas is not None:
            return self.replicas
        if self.scale_in:
            wanted = max(wanted, current)
        return min(wanted, current) if self.scale_out else wanted


def _flag(annotations: Mapping[str, str], name: str) -> bool:
    value = annotations.get(name, "false").lower()
    if value not in ("true", "false"):
        raise SpecError(f"metadata.annotations[{name}]", f'must be "true" or "false", not {value!r}')
    return value == "true"


def _number(annotations: Mapping[str, str]) -> int | None:
    value = annotations.get(PAUSED_REPLICAS)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise SpecError(f"metadata.annotations[{PAUSED_REPLICAS}]", f"{value!r} is not a whole number of 0 or more")
    return int(value)
