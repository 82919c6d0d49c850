"""Looking into a queue from tests: put it into a state, act once, and see everything that changed.

States are made by the real transitions, so that the accounting is right from the start. Nothing here belongs into
a running system: a snapshot reads with KEYS.
"""

from ferryman_bench.aging_clock import AgingClock
from ferryman_bench.bench import Bench, Clock
from ferryman_bench.past_run import past_run
from ferryman_bench.snapshot import MOMENT, Snapshot, changes, snapshot

__all__ = ["MOMENT", "AgingClock", "Bench", "Clock", "Snapshot", "changes", "past_run", "snapshot"]
