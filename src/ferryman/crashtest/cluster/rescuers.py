"""Rescuers: the operator and the scheduler, sent away so that others must do their work, and always restored.

Away means no pod of it exists. What was scaled down comes back by `restore`, also when the crash test is interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.cluster.kubectl import Kubectl
from ferryman.crashtest.cluster.town import OPERATOR_LABELS, SCHEDULER_LABELS, Town

_GONE_WITHIN_S: Final = 60.0
_BACK_WITHIN_S: Final = 90.0
_LOOK_EVERY_S: Final = 0.3


class Rescuers:
    """Remembers who was sent away, and how many there were."""

    def __init__(self, town: Town, say: Callable[[str], None]) -> None:
        self._town = town
        self._say = say
        self._away: list[tuple[Kubectl, str, int, str]] = []

    async def send_operator_away(self) -> None:
        """Returns when it is gone."""
        town = self._town
        command = f"kubectl -n {town.operator.namespace} scale deployment/{town.operator_deployment} --replicas=1"
        self._say(f"no operator for a while; should this be killed before it is restored: {command}")
        await self._send_away(town.operator, town.operator_deployment, OPERATOR_LABELS)

    async def send_schedulers_away(self) -> None:
        """Those of the test's own namespace. The operator would bring them back, so it must be away already."""
        for deployment in await self._town.kubectl.list("deployments", SCHEDULER_LABELS):
            await self._send_away(self._town.kubectl, deployment["metadata"]["name"], SCHEDULER_LABELS)

    async def restore(self) -> None:
        """All that were sent away run again. Raises CommandFailed, at the end, when one does not come back."""
        failures = []
        while self._away:
            kubectl, name, replicas, labels = self._away[-1]
            try:
                await kubectl.insist("scale", f"deployment/{name}", f"--replicas={replicas}")
                await self._until(kubectl, labels, replicas)
            except CommandFailed as error:
                failures.append(f"deployment/{name} in {kubectl.namespace} should have {replicas} pods: {error}")
            self._away.pop()
        if failures:
            raise CommandFailed("; ".join(failures))

    async def _send_away(self, kubectl: Kubectl, name: str, labels: str) -> None:
        deployment = await kubectl.get("deployment", name)
        if deployment is None:
            return
        self._away.append((kubectl, name, int(deployment["spec"].get("replicas", 1)) or 1, labels))
        await kubectl.insist("scale", f"deployment/{name}", "--replicas=0")
        # Its grace would only hold up what is to be measured.
        await kubectl.insist("delete", "pods", "-l", labels, "--force", "--grace-period=0", "--ignore-not-found")
        give_up = asyncio.get_running_loop().time() + _GONE_WITHIN_S
        while await kubectl.list("pods", labels):
            if asyncio.get_running_loop().time() > give_up:
                raise CommandFailed(f"pods of {name} are still there after {_GONE_WITHIN_S:g} s")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _until(self, kubectl: Kubectl, labels: str, replicas: int) -> None:
        await self._town_of(kubectl).wait_ready(labels, replicas, _BACK_WITHIN_S)

    def _town_of(self, kubectl: Kubectl) -> Town:
        return Town(kubectl, self._say)
