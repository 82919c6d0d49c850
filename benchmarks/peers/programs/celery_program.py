"""Celery: the app, and the producer."""

from __future__ import annotations

from celery import Celery
from peers.programs import marks

app = Celery("bench", broker=marks.URL)
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
TASKS = {kind: app.task(run, name=kind) for kind, run in marks.BLOCKING.items()}

if __name__ == "__main__":
    marks.produce(lambda kind, value: TASKS[kind].delay(value))
