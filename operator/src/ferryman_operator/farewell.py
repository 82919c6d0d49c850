"""Farewell: before the operator is uninstalled, no TaskQueue may wait for it any more.

`python -m ferryman_operator.farewell DEPLOYMENT NAMESPACE [WATCHED,...]` stops the operator and takes the finalizer off
every TaskQueue in the namespaces that it watches, or in all. The chart runs it before an uninstall. It never fails,
because that would leave the release half removed.

An operator that was told to end may still be in a pass when its Deployment counts no pods any more. So the leases are
taken: from then on it can write nothing.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from typing import Final

from ferryman import logs
from ferryman_operator import finalizer
from ferryman_operator.cluster import Cluster, ClusterError, NotFound
from ferryman_operator.lease import Leadership
from ferryman_operator.world import Kind

logger = logging.getLogger(__name__)

#: An operator that cannot be stopped, or does not end, would put the finalizers on again: try for so long.
PATIENCE_S: Final = 40.0
STEP_S: Final = 1.0


async def farewell(cluster: Cluster, deployment: str, namespace: str, watched: Sequence[str]) -> bool:
    """Stop the operator, and let go of every TaskQueue in `watched` (none: everywhere); False when some still wait."""
    until_s = time.monotonic() + PATIENCE_S
    leadership = Leadership(cluster, watched, namespace, f"{deployment} farewell")
    try:
        while True:
            runs = await _stop(cluster, deployment, namespace)
            alone, waiting = await leadership.take(), 0
            for place in watched or (None,):
                waiting += await _let_go(cluster, place)
            if (alone and not (runs or waiting)) or time.monotonic() > until_s:
                return not waiting
            await asyncio.sleep(STEP_S)
    finally:
        await leadership.release()


async def _stop(cluster: Cluster, deployment: str, namespace: str) -> bool:
    """Whether an operator may still run."""
    try:
        return await cluster.stop(namespace, deployment) > 0
    except NotFound:
        return False
    except ClusterError as error:
        logger.warning("could not stop the operator: %s", error)
        return True


async def _let_go(cluster: Cluster, namespace: str | None) -> int:
    """How many TaskQueues had the finalizer, or may have had it."""
    try:
        bodies, _ = await cluster.list(Kind.TASK_QUEUE, namespace)
    except NotFound:
        return 0  # the kind is gone
    except ClusterError as error:
        logger.warning("could not list TaskQueues: %s", error)
        return 1
    bound = [body for body in bodies if finalizer.is_on(body)]
    for body in bound:
        if await finalizer.put(body, cluster, on=False):
            logger.info("%s/%s waits for nobody any more", body["metadata"]["namespace"], body["metadata"]["name"])
    return len(bound)


def main() -> int:
    """Always returns 0."""
    logs.configure_from_env({"FERRYMAN_LOG_FORMAT": "json"})
    deployment, namespace, *watched = sys.argv[1:]
    if not asyncio.run(farewell(Cluster(), deployment, namespace, ",".join(watched).split(",") if watched else [])):
        logger.error("some TaskQueues still have %s; docs/operator.md says how to remove it", finalizer.FINALIZER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
