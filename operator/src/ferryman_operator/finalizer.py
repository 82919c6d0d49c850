"""Finalizer: holds a TaskQueue with deletionPolicy Purge until its tasks are discarded. No other TaskQueue has one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from ferryman_operator.cluster import Cluster, ClusterError, Conflict, NotFound
from ferryman_operator.spec import DeletionPolicy
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

logger = logging.getLogger(__name__)

FINALIZER: Final = "ferryman.dev/purge"


def is_on(body: Mapping[str, Any]) -> bool:
    """Whether the object has it."""
    return FINALIZER in (body["metadata"].get("finalizers") or ())


def is_right(tracked: Tracked) -> bool:
    """Whether the object has it if, and only if, it should.

    Only who owns its queue gets it: a TaskQueue that was refused must never purge the tasks of the one that was not.
    """
    if tracked.spec is None or "deletionTimestamp" in tracked.body["metadata"]:
        return True
    wanted = tracked.spec.deletion_policy is DeletionPolicy.PURGE
    return wanted == is_on(tracked.body) or (wanted and not tracked.claim_granted)


async def keep(tracked: Tracked, cluster: Cluster, world: World) -> None:
    """Add it or take it away, as the deletionPolicy says."""
    if is_right(tracked):
        return
    if body := await put(tracked.body, cluster, on=not is_on(tracked.body)):
        world.put(Kind.TASK_QUEUE, body)
        tracked.update(body)


async def put(body: Mapping[str, Any], cluster: Cluster, *, on: bool) -> Mapping[str, Any] | None:
    """Write it; None when that did not work. A conflict with another writer is settled by the next pass."""
    metadata = body["metadata"]
    others = [one for one in metadata.get("finalizers") or () if one != FINALIZER]
    try:
        return await cluster.set_finalizers(body, [*others, FINALIZER] if on else others)
    except (Conflict, NotFound):
        return None
    except ClusterError as error:
        logger.warning("could not set finalizers of %s/%s: %s", metadata["namespace"], metadata["name"], error)
        return None
