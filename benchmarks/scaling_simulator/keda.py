"""KEDA's side: a ScaledObject with the redis scaler, its defaults, and the HPA that it makes, as they are documented.

KEDA asks for the list's length every `pollingInterval`: anything in it takes zero replicas to one, and nothing in it
for the `cooldownPeriod` takes them to zero. In between the HPA wants length / listLength replicas: up by at most four
pods or double every 15 s, down to the most that it wanted in the last 300 s. Which pods go is the ReplicaSet's choice:
the youngest first, busy or not. The metric is read afresh at each sync, and no request takes any time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scaling_simulator.fleet import Fleet

#: --horizontal-pod-autoscaler-sync-period
SYNC_S: Final = 15.0

#: --horizontal-pod-autoscaler-tolerance
TOLERANCE: Final = 0.1


@dataclass(frozen=True, slots=True)
class ScaledObject:
    """The fields that matter, with KEDA's defaults."""

    max_replicas: int = 20
    list_length: int = 5
    polling_s: float = 30.0
    cooldown_s: float = 300.0
    stabilization_s: float = 300.0  # of the HPA, --horizontal-pod-autoscaler-downscale-stabilization


class Keda:
    """KEDA and its HPA. `phase` in 0..1 says where in their intervals they are when the load begins.

    The policy that the API documents adds four pods or doubles, whichever is more. An HPA without a `behavior`, as
    KEDA makes it, in fact goes to at least four or doubles (`calculateScaleUpLimit`): `as_measured` is that one.
    """

    def __init__(self, spec: ScaledObject | None = None, *, phase: float = 0.0, as_measured: bool = False) -> None:
        self.spec = spec or ScaledObject()
        self._as_measured = as_measured
        self._next_poll_s = phase * self.spec.polling_s
        self._next_sync_s = phase * SYNC_S
        self._active_s = -math.inf
        self._wishes: list[tuple[float, int]] = []

    def turn(self, fleet: Fleet) -> None:
        """Whatever is due."""
        if fleet.now_s >= self._next_sync_s:
            self._next_sync_s += SYNC_S
            self._sync(fleet)
        if fleet.now_s >= self._next_poll_s:
            self._next_poll_s += self.spec.polling_s
            self._poll(fleet)

    def _poll(self, fleet: Fleet) -> None:
        if fleet.waiting:
            self._active_s = fleet.now_s
            if fleet.replicas == 0:
                fleet.scale(1)
        elif fleet.replicas and fleet.now_s - self._active_s >= self.spec.cooldown_s:
            fleet.scale(0)

    def _sync(self, fleet: Fleet) -> None:
        self._wishes = [wish for wish in self._wishes if fleet.now_s - wish[0] < self.spec.stabilization_s]
        current = fleet.replicas
        if current == 0:
            return  # an HPA leaves zero alone
        wish = math.ceil(len(fleet.waiting) / self.spec.list_length)
        if abs(len(fleet.waiting) / (self.spec.list_length * current) - 1) <= TOLERANCE:
            wish = current
        self._wishes.append((fleet.now_s, wish))
        stable = max(wish for _, wish in self._wishes)
        most = max(2 * current, 4 if self._as_measured else current + 4)
        fleet.scale(max(1, min(stable, most, self.spec.max_replicas)))
