"""Of blocked tasks only those that want for workers are a reason to start some."""

from __future__ import annotations

from dataclasses import replace

from ferryman_operator.backlog import Reading
from ferryman_operator.rates import first

from ferryman.inspector import Inspector


def test_what_a_limit_blocks_is_no_backlog_and_what_waits_for_its_turn_is() -> None:
    stats = replace(Inspector("q").stats().read([0] * 16), waiting=10, blocked=1_000, ready=40)
    reading = Reading(stats, (), None, 1.0)

    assert reading.counters().arrived == 50
    assert reading.demand(first(reading.counters())).backlog == 50
