"""A scripted day in the life of a queue: everything happens once that a dashboard has a panel for, in two minutes.

Tasks come, fail, are retried, die, are delayed and promoted, have a name that nobody knows, and are trimmed; workers
are added, killed with tasks in their hands, and taken away again. In the evening nothing moves any more, so that
figures of different moments may be compared.
"""

import time
from typing import Any

from ferryman_e2e.prometheus import Prometheus
from ferryman_e2e.scene_queue import SceneQueue
from ferryman_e2e.waiting import until

#: Tasks that are completed: in the morning, at noon (with the two of the accidents), in the evening.
MORNING, NOON, EVENING = 40 + 5, 60 + 2, 10
WORKERS_AT_NIGHT = 1
WORKERS_AT_NOON = 3


class Day:
    """Lives through it step by step, and prints what happens when."""

    def __init__(self, queue: SceneQueue, prometheus: Prometheus) -> None:
        self._queue = queue
        self._prometheus = prometheus
        self.began_s = time.time()

    def live(self) -> dict[str, Any]:
        """From the morning to the evening; the queue's figures then."""
        self._morning()
        self._noon()
        self._accidents()
        self._poison()
        return self._evening()

    def _morning(self) -> None:
        queue = self._queue
        queue.create(
            scaling={
                "minReplicas": WORKERS_AT_NIGHT,
                "maxReplicas": WORKERS_AT_NOON,
                "targetLatency": "2s",
                "cooldown": "5s",
            },
            crashes={"workerTimeout": "5s", "max": 2},
            retries={"backoff": {"initial": "1s", "max": "1s"}},
            retention={"completed": "10s"},
        )
        # Before the workers are known any name is accepted: this one is parked.
        queue.post("nobody_knows_this", {})
        queue.wait_workers(WORKERS_AT_NIGHT, timeout_s=60)
        # What happens before the first scrape of a queue is a count, but no event that a graph could mark.
        until("the queue is scraped", lambda: self._event("recovered"), lambda seen: seen is not None, timeout_s=30)
        self._say("morning: tasks that end well, that fail until they are dead, and that are delayed")
        queue.post("work", {"seconds": 0.2}, count=40)
        queue.post("fail", {"message": "on purpose"}, count=3)
        queue.post("work", {"seconds": 0.1}, delay="2s", count=5)
        queue.post("work", {"seconds": 0.1}, delay="1h")
        queue.wait_completed(MORNING, timeout_s=60)
        queue.wait_figures("the failures were retried and are dead", lambda f: f["dead"] == 3, timeout_s=30)

    def _noon(self) -> None:
        self._say("noon: more than one worker can do")
        self._queue.post("work", {"seconds": 6.0}, count=60)
        self._queue.wait_workers(WORKERS_AT_NOON, timeout_s=60)

    def _accidents(self) -> None:
        queue = self._queue
        self._say("a task kills its worker with all that runs there")
        queue.post("crash_once", priority=9)
        queue.wait_figures("the first worker's tasks are recovered", lambda f: f["recovered"] >= 2, timeout_s=30)
        self._say("a pod is deleted by force, with all that it runs")
        # Longer than a pod that is deleted by force lives on: it dies with this in hand.
        [long] = queue.post("work", {"seconds": 8.0}, priority=9)
        held = until("it runs", lambda: queue.records([long])[0], lambda task: task["state"] == "active", timeout_s=30)
        figures = queue.figures()
        [pod] = [worker["pod"] for worker in figures["worker_list"] if worker["id"] == held["worker"]]
        queue.kubectl.run("delete", "pod", pod, "--force", "--grace-period=0")
        queue.wait_figures("it is recovered", lambda f: f["recovered"] > figures["recovered"], timeout_s=30)
        queue.wait_completed(MORNING + NOON, timeout_s=60)

    def _poison(self) -> None:
        queue = self._queue
        self._say("a task kills every worker that takes it, until it is dead")
        queue.post("crash")
        queue.wait_figures("it is dead", lambda f: f["dead"] == 4, timeout_s=60)

    def _evening(self) -> dict[str, Any]:
        queue = self._queue
        queue.wait_workers(WORKERS_AT_NIGHT, timeout_s=90)
        self._say("evening: one worker is enough again; a restarted one counts from zero, so it gets some more")
        queue.post("work", {"seconds": 0.2}, count=EVENING)
        queue.wait_completed(MORNING + NOON + EVENING, timeout_s=60)
        trimmed = f'max(ferryman_trimmed_total{{queue="{queue.name}",state="completed"}})'
        until("old statuses are trimmed", lambda: self._prometheus.value(trimmed), bool, timeout_s=30)
        until("nobody wants more workers", queue.replicas, lambda number: number == WORKERS_AT_NIGHT, timeout_s=60)
        queue.wait_workers(WORKERS_AT_NIGHT, timeout_s=60)
        self._say("night")
        return queue.figures()

    def _event(self, event: str) -> float | None:
        where = f'queue_namespace="{self._queue.kubectl.namespace}",queue="{self._queue.name}"'
        return self._prometheus.value(f'ferryman_queue_events_total{{{where},event="{event}"}}')

    def _say(self, what: str) -> None:
        print(f"{time.time() - self.began_s:5.0f} s  {what}", flush=True)
