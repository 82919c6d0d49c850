"""Outcome: all that a crash test on Kubernetes found, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ferryman.crashtest.claims import Findings
from ferryman.crashtest.cluster.bounds import Recovery
from ferryman.crashtest.cluster.journal import Life
from ferryman.crashtest.verdict import Verdict


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What was asked for. None = choose one: images after those of the release, a Redis and a namespace of its own."""

    tasks: int
    workers: int
    concurrency: int
    kills: int
    over_ms: int
    seed: int
    task_ms: float
    kinds: Sequence[str]
    timeout_s: float
    queue: str
    namespace: str
    context: str | None
    image: str | None
    redis_image: str | None
    redis_url: str | None
    appendfsync: str
    keep: bool


@dataclass(frozen=True, slots=True)
class ClusterOutcome:
    """`stats` are Redis' own figures; `left_out` says which kills found nobody; `missing_workers` did not come back."""

    settings: ClusterSettings
    verdict: Verdict
    recoveries: Sequence[Recovery]
    stats: Mapping[str, Any]
    executions: int
    resent_enqueues: int
    unasked_ends: Sequence[Life]
    missing_workers: str
    left_out: Sequence[str]
    bound_ms: float
    took_s: float
    time_was_up: bool
    workflows: int = 0
    followers: int = 0  # of their nodes those that waited for others
    findings: Findings = field(default_factory=Findings)

    @property
    def problems(self) -> list[str]:
        """Why the test failed; empty = passed."""
        missing = [self.missing_workers] if self.missing_workers else []
        late = ["not all was done when the time was up"] if self.time_was_up else []
        return [*self.verdict.problems, *self.findings.problems, *missing, *late]
