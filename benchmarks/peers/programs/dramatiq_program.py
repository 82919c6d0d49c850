"""Dramatiq: the actors, and the producer."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from peers.programs import marks

dramatiq.set_broker(RedisBroker(url=marks.URL))
TASKS = {kind: dramatiq.actor(run, actor_name=kind) for kind, run in marks.BLOCKING.items()}

if __name__ == "__main__":
    marks.produce(lambda kind, value: TASKS[kind].send(value))
