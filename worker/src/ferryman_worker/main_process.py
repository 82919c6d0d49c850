"""Main process: what a worker does once its beat child was forked. Imports the app, forks a nursery, runs the loop.

`launch` imports this behind the fork: asyncio, the loop and the app's handlers are nothing to a beat child, and what
both processes have at the fork soon lies in memory twice, since Python counts references in the objects themselves.
"""

from __future__ import annotations

import asyncio
import gc
import socket

import uvloop

from ferryman.app import load_app
from ferryman.durability import warn_unless_durable
from ferryman.errors import AppImportError
from ferryman.link import Link
from ferryman.queue import Queue
from ferryman.workers import WorkerRegistry
from ferryman_worker.board import Board
from ferryman_worker.child import Child
from ferryman_worker.counters import Counters
from ferryman_worker.figures import Figures
from ferryman_worker.heartbeat import BeatChild
from ferryman_worker.identity import Identity
from ferryman_worker.ledger import Ledger
from ferryman_worker.listener import REPLY_MARGIN_S, WAIT_S
from ferryman_worker.nursery import fork_nursery
from ferryman_worker.process_pool import ProcessPool
from ferryman_worker.scrape import ScrapeLine
from ferryman_worker.settings import WorkerSettings
from ferryman_worker.stop import StopRequest
from ferryman_worker.tenure import Registrar
from ferryman_worker.usage import Processes
from ferryman_worker.worker import Worker


def choose(app: str, queue_name: str) -> Queue:
    """Imports the app. Raises AppImportError when it can't be imported, or has no such queue."""
    queues = load_app(app)
    if queue_name not in queues:
        raise AppImportError(f"--app {app}: it defines {', '.join(sorted(queues))}, and no queue {queue_name!r}")
    return queues[queue_name]


def run(
    settings: WorkerSettings,
    queue: Queue,
    app: str,
    board: Board,
    ledger: Ledger,
    identity: Identity,
    beats: BeatChild,
    reply_timeout_s: float,
) -> int:
    """Runs the queue's tasks until the worker is told to stop; returns the exit code."""
    gc.collect()
    gc.freeze()  # what is here now stays; collections need not walk it again
    pool, nursery = None, None
    if any(handler.run_in == "process" for handler in queue.handlers.values()):
        pool, nursery = fork_nursery(lambda line: Child(queue).serve(line))
    figures = Figures(Counters(queue.name), board, ledger, Processes(beat=beats.pid, pool=pool))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, queue, app, figures, identity, beats, nursery, reply_timeout_s))


async def _run(
    settings: WorkerSettings,
    queue: Queue,
    app: str,
    figures: Figures,
    identity: Identity,
    beats: BeatChild,
    nursery: socket.socket | None,
    reply_timeout_s: float,
) -> int:
    loop = asyncio.get_running_loop()
    stop = StopRequest()
    stop.listen(loop)
    board, counters = figures.board, figures.counters
    link = Link.from_url(settings.redis_url, client_name="ferryman-worker", reply_timeout_s=reply_timeout_s)
    link.watch = counters.trip_seconds.observe
    listening = Link.from_url(
        settings.redis_url, client_name="ferryman-listener", reply_timeout_s=WAIT_S + REPLY_MARGIN_S
    )
    processes = ProcessPool(nursery, lambda: stop.ask("the process that forks children has ended", exit_code=1))
    registrar = Registrar(
        link,
        WorkerRegistry(queue.name),
        board,
        identity,
        queue.manifest(app),
        concurrency=settings.concurrency,
        timeout_ms=settings.timeout_ms,
        end_beats=beats.kill,
        recovered=counters.recovered,
    )
    worker = Worker(settings, queue, link, listening, board, registrar, processes, stop, counters)
    scrapes = ScrapeLine(
        beats.line,
        figures,
        in_progress=lambda: worker.pool.running,
        child_died=lambda: None if beats.ended else stop.ask("the beat child has died", exit_code=1),
    )
    scrapes.open(loop)
    warning = asyncio.create_task(warn_unless_durable(lambda: link), name="durability")
    try:
        return await worker.run()
    finally:
        warning.cancel()
        scrapes.close(loop)
        processes.close()
        await link.close()
        await listening.close()
