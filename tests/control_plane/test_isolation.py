"""A slow tenant delays nobody: with one Redis frozen, queues on another are scaled as fast as ever."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable
from typing import Any

from ferryman_control_plane.namespace import Namespace
from ferryman_control_plane.operator_process import StartOperator, until
from ferryman_control_plane.tasks import post

#: Bursts of each kind.
BURSTS = 8


def test_a_frozen_redis_does_not_delay_the_queues_of_another(
    namespace: Namespace, start_operator: StartOperator, start_redis: Callable[..., Any]
) -> None:
    free, frozen = start_redis(), start_redis()
    calm = [f"calm-{number}" for number in range(BURSTS)]
    hard = [f"hard-{number}" for number in range(BURSTS)]
    for name in (*calm, *hard):
        namespace.queue(name, free.url)
    for number in range(3):
        namespace.queue(f"stuck-{number}", frozen.url)
    start_operator()
    for name in (*calm, *hard, "stuck-0"):
        until("children", lambda: namespace.replicas(name), lambda number: number == 0, 60)  # noqa: B023 called in the loop

    def reaction_s(queue: str) -> float:
        began = time.monotonic()
        post(free.url, queue, 200)
        until("workers", lambda: namespace.replicas(queue), lambda number: number == 4, 10, every_s=0.02)
        return time.monotonic() - began

    before = [reaction_s(queue) for queue in calm]
    frozen.process.send_signal(signal.SIGSTOP)
    until("it is noticed", lambda: namespace.condition("stuck-0", "BrokerReachable"), lambda one: one[0] == "False", 15)
    during = [reaction_s(queue) for queue in hard]
    frozen.process.send_signal(signal.SIGCONT)
    print(f"reaction: median {statistics.median(before):.2f} s, at most {max(before):.2f} s;", end=" ")
    print(f"with the other Redis frozen {statistics.median(during):.2f} s, at most {max(during):.2f} s")
    # A pass a second: what is added is far below the two seconds that a frozen Redis costs its own queues.
    assert max(during) < 2.0
    assert statistics.median(during) < statistics.median(before) + 0.5
    until("it is back", lambda: namespace.condition("stuck-0", "BrokerReachable"), lambda one: one[0] == "True", 20)
