"""Outcome: all that a crash test found, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ferryman.crashtest.actor import Exit
from ferryman.crashtest.claims import Findings
from ferryman.crashtest.recovery import Aftermath
from ferryman.crashtest.strike import Strike
from ferryman.crashtest.verdict import Verdict
from ferryman.inspector import QueueStats


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for. `redis_url` None = a server of its own; `appendfsync` "" = Redis is not killed."""

    tasks: int
    workers: int
    schedulers: int
    kills: int
    seed: int
    task_ms: float
    kinds: Sequence[str]
    timeout_s: float
    worker_timeout_ms: int
    queue: str
    redis_url: str | None
    redis_fails: str  # "", "aof-restart" or "failover"
    appendfsync: str
    folder: Path
    env: Mapping[str, str]
    #: The kinds were named by a person, who must be told when one of them is not possible.
    kinds_asked: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """`took_s` from the first task to the last one's end; `bound_ms`: what Redis may forget at a failure.

    `time_was_up` before all was done; what still ran then may have ended in its worker's grace. `posted` tasks came
    over HTTP, in requests of which `posted_again` had no answer. `left_out`: kinds that are not possible here, and why.
    `standstills`: when this machine or Redis got on with nothing.
    """

    settings: Settings
    verdict: Verdict
    aftermaths: Sequence[Aftermath]
    stats: QueueStats
    executions: int
    resent_enqueues: int
    unasked_exits: Sequence[Exit]
    missing_workers: Sequence[str]
    bound_ms: float
    took_s: float
    time_was_up: bool
    posted: int = 0
    posted_again: int = 0
    lost_replies: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    workflows: int = 0
    followers: int = 0  # of their nodes those that waited for others
    findings: Findings = field(default_factory=Findings)
    standstills: Sequence[Strike] = ()

    @property
    def problems(self) -> list[str]:
        """Why the test failed; empty = passed."""
        missing = [f"{', '.join(self.missing_workers)} did not come back"] if self.missing_workers else []
        late = ["not all was done when the time was up"] if self.time_was_up else []
        return [*self.verdict.problems, *self.findings.problems, *missing, *late]
