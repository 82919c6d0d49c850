"""Launch: starts a worker's processes in the only order that works.

The slot's lock is taken first, so that every child holds it too. Then the beat child is forked, before threads,
connections and the user's app exist; then the app is imported, and a nursery is forked if a handler wants
processes; then the loop starts. A child forked later would inherit locks that nobody will ever release.

While the app is being imported, which may take seconds or fail, the beat child recovers what the predecessor of
this container held: others may run that meanwhile.
"""

from __future__ import annotations

import gc
import logging
import socket

from ferryman.errors import AppImportError, BrokerError
from ferryman.link import SyncLink
from ferryman.plan import run_plan
from ferryman.policy import Policy
from ferryman.settings import BadSetting
from ferryman.workers import WorkerRegistry
from ferryman_worker.board import Board
from ferryman_worker.heartbeat import BeatChild
from ferryman_worker.identity import Identity
from ferryman_worker.ledger import Ledger
from ferryman_worker.settings import WorkerSettings
from ferryman_worker.takeover import take_over, tell

logger = logging.getLogger(__name__)


def launch(settings: WorkerSettings, queue_name: str, app: str) -> int:
    """Runs a worker until it is told to stop; returns the exit code.

    Raises AppImportError, BadSetting or ProtocolMismatch when it can't start.
    """
    board, ledger = Board(), Ledger()
    reply_timeout_s = _reply_timeout_s(settings)
    identity = Identity(settings, queue_name)
    gc.freeze()  # a collection would touch, and so copy, all pages that parent and child share
    beats = BeatChild.fork(
        board,
        lambda: _connect(settings, queue_name, identity, reply_timeout_s, ledger),
        WorkerRegistry(queue_name).beat,
        _listen(settings),
        settings.hang_timeout_ms,
    )
    try:
        # Not above: this module is all that the beat child needs, and has to carry.
        from ferryman_worker.main_process import choose, run

        try:
            queue = choose(app, queue_name)
        except AppImportError:
            # A broken app may end this process before the child has spoken; its predecessor's tasks need no app.
            beats.stop()
            _connect(settings, queue_name, identity, reply_timeout_s, ledger).close()
            raise
        return run(settings, queue, app, board, ledger, identity, beats, reply_timeout_s)
    finally:
        beats.stop()


def _connect(
    settings: WorkerSettings, queue: str, identity: Identity, reply_timeout_s: float, ledger: Ledger
) -> SyncLink:
    """The beat child's connection. There is nobody to beat for yet, so its first use is to recover the predecessor."""
    link = SyncLink.from_url(settings.redis_url, client_name="ferryman-beat", reply_timeout_s=reply_timeout_s)
    link.watch = ledger.count_trip
    if identity.slot:
        try:
            taken = run_plan(link, take_over(queue, identity.slot, identity.is_mine))
        except BrokerError as error:
            logger.debug("the predecessor is recovered when this worker registers: %s", error)
        else:
            if taken is not None:
                tell(taken, ledger)
    return link


def _listen(settings: WorkerSettings) -> socket.socket:
    """The port for /livez, /readyz and /metrics. Outside a pod a taken port is no reason not to work."""
    try:
        listener = socket.create_server(("", settings.port), backlog=32)
    except OSError as error:
        if settings.pod_uid:
            raise BadSetting("FERRYMAN_PORT", f"can't listen on {settings.port}: {error.strerror}") from error
        listener = socket.create_server(("", 0), backlog=32)
        logger.warning("port %d is taken", settings.port)
    logger.info("/livez, /readyz and /metrics on port %d", listener.getsockname()[1])
    return listener


def _reply_timeout_s(settings: WorkerSettings) -> float:
    """Several replies must be able to fail within one worker timeout before the promise is broken."""
    timeout_ms = settings.timeout_ms or Policy().worker_timeout_ms
    return max(timeout_ms / 1_000 / 4, 0.3)
