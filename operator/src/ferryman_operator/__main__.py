"""The operator: `python -m ferryman_operator`. Reads the environment, makes the parts, and runs them until SIGTERM.

kopf runs embedded, so no file is loaded by path and no folder called `operator` gets onto sys.path.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time

import kopf

from ferryman import logs
from ferryman.first_process import end_when_told
from ferryman.settings import BadSetting
from ferryman_operator import handlers, names
from ferryman_operator.applier import Applier
from ferryman_operator.children import Children
from ferryman_operator.cluster import Cluster, ClusterError
from ferryman_operator.endpoints import Endpoints
from ferryman_operator.health import Health
from ferryman_operator.lease import Leadership
from ferryman_operator.loop import DeadWatch, Loop
from ferryman_operator.metrics import Metrics
from ferryman_operator.redis_pass import RedisPass
from ferryman_operator.reporter import Reporter
from ferryman_operator.settings import OperatorSettings, kopf_settings
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

logger = logging.getLogger(handlers.__package__)

#: /livez fails when no pass has ended for this long.
STALLED_S = 90.0


def main() -> int:
    """Run the operator; returns the exit code."""
    end_when_told()
    try:
        logs.configure_from_env(os.environ)
        settings = OperatorSettings.from_env(os.environ)
    except BadSetting as error:
        print(error, file=sys.stderr)
        return 2
    try:
        asyncio.run(run(settings))
    except DeadWatch as error:
        logger.error("%s", error)
        return 1
    return 0


async def run(settings: OperatorSettings) -> None:
    """Run the operator until SIGTERM or SIGINT, which kopf takes care of."""
    world, cluster, tracked = World(), Cluster(), dict[str, Tracked]()
    leadership = Leadership(cluster, settings.namespaces, settings.lease_namespace, settings.identity)
    cluster.may_write = leadership.holds
    endpoints, metrics, reporter = Endpoints(cluster), Metrics(tracked, world), Reporter(world, cluster)
    children = Children(world, Applier(cluster, world), settings)
    redis_pass = RedisPass(world, children, reporter, endpoints, settings)
    loop = Loop(tracked, world, cluster, children, reporter, endpoints, redis_pass, metrics, settings, leadership)
    health = Health(lambda: time.monotonic() - loop.finished_s, STALLED_S, metrics.text)
    server = await health.serve(settings.port)
    await _crd(cluster)
    where = ", ".join(settings.namespaces) or "all namespaces"
    logger.info("looking after the TaskQueues of %s", where)
    leading = asyncio.create_task(leadership.run())
    running = asyncio.create_task(loop.run())
    watching = asyncio.create_task(
        kopf.operator(
            settings=kopf_settings(),
            # Given, because kopf would ask for the name of a user that has none in a container.
            identity=names.MANAGER,  # type: ignore[arg-type]
            memo=kopf.Memo(world=world),
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
        )
    )
    # Whichever ends first ends the process: an operator that only watches, or only acts, is better restarted.
    parts = (running, watching, leading)
    await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    for task in parts:
        task.cancel()
    results = await asyncio.gather(*parts, return_exceptions=True)
    await loop.close()
    await leadership.release()
    server.close()
    cluster.close()
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _crd(cluster: Cluster) -> None:
    """Wait for the TaskQueue kind: kopf looks for it only once."""
    while True:
        problem = "it does not know the kind TaskQueue yet (manifests/crd.yaml)"
        try:
            if await cluster.has_kind(Kind.TASK_QUEUE):
                return
        except ClusterError as error:
            problem = str(error)
        logger.warning("waiting for the cluster: %s", problem)
        await asyncio.sleep(2)


if __name__ == "__main__":
    sys.exit(main())
