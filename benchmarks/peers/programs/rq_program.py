"""RQ: the producer; its workers import the functions themselves."""

from __future__ import annotations

import redis
from peers.programs import marks
from rq import Queue

queue = Queue(connection=redis.Redis(port=marks.PORT))

if __name__ == "__main__":
    # Where tasks are killed, RQ 3.0.0 fails to end a recovered job whose result is not kept.
    kept = {"result_ttl": 0}

    def one(kind: str, value: marks.Argument) -> None:
        """Enqueues."""
        queue.enqueue(marks.BLOCKING[kind], value, **({} if kind == "crash" else kept))

    marks.produce(
        one,
        lambda kind, values: queue.enqueue_many(
            [Queue.prepare_data(marks.BLOCKING[kind], args=(value,), **kept) for value in values]
        ),
    )
