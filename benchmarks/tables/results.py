"""Results: what a benchmark run found, and how it travels as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """What it ran on, and how busy that was before."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    server: str
    load_before: float  # of the last minute: how many processes wanted to run


class Run(msgspec.Struct, frozen=True):
    """One workload on one peer, once. `void` says why it tells nothing; then there are no figures."""

    workload: str
    peer: str
    repetition: int
    load: float
    calibration_ms: float  # of a fixed loop just before it
    figures: Mapping[str, float] = {}
    void: str = ""


class Results(msgspec.Struct, frozen=True):
    """All of it. `versions` is by peer; `left_out` names those that are not installed."""

    taken_at: str
    machine: Machine
    scale: float
    repetitions: int
    versions: Mapping[str, str]
    left_out: tuple[str, ...]
    runs: list[Run]

    def values(self, workload: str, peer: str, figure: str) -> dict[int, float]:
        """One figure of one peer, by repetition."""
        return {
            run.repetition: run.figures[figure]
            for run in self.runs
            if run.workload == workload and run.peer == peer and figure in run.figures
        }

    def voids(self, workload: str, peer: str) -> list[str]:
        """Why runs of it told nothing."""
        return [run.void for run in self.runs if run.workload == workload and run.peer == peer and run.void]

    def write(self, path: Path) -> None:
        """As JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        """The inverse. Raises OSError or msgspec.ValidationError."""
        return msgspec.json.decode(path.read_bytes(), type=cls)
