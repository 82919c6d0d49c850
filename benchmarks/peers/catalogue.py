"""All peers, in the order in which they are measured."""

from __future__ import annotations

from typing import Final

from peers.arq import ARQ
from peers.asynq import ASYNQ
from peers.bullmq import BULLMQ
from peers.celery import CELERY
from peers.dramatiq import DRAMATIQ
from peers.ferryman import FERRYMAN, PROCESSES, THREADS
from peers.huey import HUEY
from peers.peer import Peer
from peers.rq import RQ
from peers.saq import SAQ
from peers.sidekiq import SIDEKIQ
from peers.streaq import STREAQ
from peers.taskiq import TASKIQ

PEERS: Final[tuple[Peer, ...]] = (
    *(FERRYMAN, BULLMQ, ASYNQ, SIDEKIQ, CELERY, DRAMATIQ, TASKIQ, HUEY, SAQ, ARQ, STREAQ, RQ),
    *(THREADS, PROCESSES),
)

#: Ours, whose figures the others are compared with.
OWN: Final = frozenset({"ferryman", "ferryman-threads", "ferryman-processes"})
