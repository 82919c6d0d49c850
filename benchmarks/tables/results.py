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


class Image(msgspec.Struct, frozen=True):
    """A container image, in bytes: as it is stored, and as it travels."""

    bytes: int
    compressed_bytes: int


class Run(msgspec.Struct, frozen=True):
    """One workload on one peer, once. `void` says why it tells nothing; then there are no figures."""

    workload: str
    peer: str
    repetition: int
    load: float
    calibration_ms: float  # of a fixed loop just before it
    figures: Mapping[str, float] = {}
    void: str = ""
    sitting: int = 0  # its place in Results.sittings


class Sitting(msgspec.Struct, frozen=True):
    """What was measured in one go: `scale` of the usual load. `versions` is by peer; `left_out` is not installed."""

    taken_at: str
    machine: Machine
    scale: float
    repetitions: int
    versions: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    images: Mapping[str, Image | None] = {}  # by name; None: not built


class Results(msgspec.Struct, frozen=True):
    """All of it, the oldest sitting first. Only runs of one sitting are compared with each other."""

    sittings: list[Sitting]
    runs: list[Run]

    @property
    def latest(self) -> Sitting:
        """The last one."""
        return self.sittings[-1]

    @property
    def versions(self) -> dict[str, str]:
        """Of every peer; of those measured in several versions all of them."""
        found: dict[str, list[str]] = {}
        for sitting in self.sittings:
            for peer, version in sitting.versions.items():
                if version not in found.setdefault(peer, []):
                    found[peer].append(version)
        return {peer: " and ".join(versions) for peer, versions in found.items()}

    def values(self, workload: str, peer: str, figure: str) -> dict[tuple[int, int], float]:
        """One figure of one peer, by sitting and repetition."""
        return {
            (run.sitting, run.repetition): run.figures[figure]
            for run in self.runs
            if run.workload == workload and run.peer == peer and figure in run.figures
        }

    def voids(self, workload: str, peer: str) -> list[str]:
        """Why runs of it told nothing."""
        return [run.void for run in self.runs if run.workload == workload and run.peer == peer and run.void]

    def with_sitting(self, other: Results, own: frozenset[str]) -> Results:
        """These, with what `other` has measured in its place. `own` names what peers are compared with.

        Our own runs of an earlier sitting stay where a peer is left whose ratio they are needed for.
        """
        replaced = {(run.workload, run.peer) for run in other.runs}
        kept = [run for run in self.runs if (run.workload, run.peer) not in replaced or run.peer in own]
        needed = {(run.workload, run.sitting) for run in kept if run.peer not in own}
        kept = [
            run for run in kept if (run.workload, run.peer) not in replaced or (run.workload, run.sitting) in needed
        ]
        places = sorted({run.sitting for run in kept})
        sittings = [self.sittings[place] for place in places] + other.sittings
        moved = [msgspec.structs.replace(run, sitting=places.index(run.sitting)) for run in kept]
        fresh = [msgspec.structs.replace(run, sitting=len(places) + run.sitting) for run in other.runs]
        return Results(sittings, moved + fresh)

    def write(self, path: Path) -> None:
        """As JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        """The inverse. Raises OSError or msgspec.ValidationError."""
        return msgspec.json.decode(path.read_bytes(), type=cls)
