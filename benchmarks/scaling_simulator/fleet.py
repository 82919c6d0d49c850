"""Fleet: a queue and its worker pods, simulated to the exact moment.

Tasks are taken first come, first served, by the slot that has been idle longest, as BLMOVE does. Nothing here
decides anything: whoever scales sets replicas and drains, as the Deployment and the leases in Redis would let it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

#: From the change of replicas until the worker takes tasks: schedule, start the container, import, register.
START_S: Final = 2.5

#: From a drain until the pod is NotReady: the next beat, and the next probe.
NOT_READY_AFTER_S: Final = 2.0

#: From SIGTERM until running tasks are given back: Kubernetes' default of 30 s, less what the worker needs to leave.
GRACE_S: Final = 25.0


@dataclass(slots=True, eq=False)
class Task:
    """One task: when it comes, how long it runs, and when it was first started (None = not yet)."""

    arrives_s: float
    service_s: float
    started_s: float | None = None


@dataclass(slots=True, eq=False)
class Pod:
    """One worker pod."""

    number: int
    created_s: float
    ready_s: float
    running: list[tuple[float, int, Task]] = field(default_factory=list)  # heap: (when it ends, tie, task)
    draining_since_s: float | None = None
    terminating: bool = False
    parked: int = 0  # idle slots that may take nothing

    def is_ready(self, now_s: float) -> bool:
        """What the kubelet's probe says."""
        if now_s < self.ready_s:
            return False
        return self.draining_since_s is None or now_s - self.draining_since_s < NOT_READY_AFTER_S


class Fleet:
    """The queue and its pods at `now_s`. `tasks` are sorted by arrival."""

    def __init__(self, tasks: Sequence[Task], concurrency: int, start_s: float = START_S) -> None:
        self.tasks = tasks
        self.concurrency = concurrency
        self._start_s = start_s
        self.now_s = 0.0
        self.waiting: deque[Task] = deque()
        self.pods: list[Pod] = []
        self.arrived = self.runs = self.run_ms = self.interrupted = 0
        self.pod_seconds = 0.0  # of pods that are gone
        self.history: list[tuple[float, int]] = [(0.0, 0)]  # replicas, at each change
        self._slots: list[tuple[float, int, Pod]] = []  # heap: (free since or from, tie, pod)
        self._returns: list[tuple[float, int, Task]] = []  # heap: interrupted tasks and when they wait again
        self._leaving: list[Pod] = []
        self._ties = 0

    @property
    def replicas(self) -> int:
        """What the Deployment asks for."""
        return len(self.pods)

    @property
    def oldest_waiting_s(self) -> float:
        """The age of the oldest waiting task."""
        return self.now_s - self.waiting[0].arrives_s if self.waiting else 0.0

    @property
    def active(self) -> int:
        """Tasks that run, in pods that are on their way out as well."""
        return sum(len(pod.running) for pod in (*self.pods, *self._leaving))

    def pod_seconds_until_now(self) -> float:
        """Seconds that pods were there, from their creation to their end."""
        return self.pod_seconds + sum(self.now_s - pod.created_s for pod in self.pods)

    def advance(self, to_s: float) -> None:
        """Let time pass."""
        while self._returns and self._returns[0][0] <= self.now_s:
            self.waiting.appendleft(heapq.heappop(self._returns)[2])
        self._work_off(to_s)
        self.now_s = to_s
        while self.arrived < len(self.tasks) and self.tasks[self.arrived].arrives_s <= to_s:
            self.waiting.append(self.tasks[self.arrived])
            self.arrived += 1
        for pod in (*self.pods, *self._leaving):
            self._collect(pod)
        self._leaving = [pod for pod in self._leaving if pod.running]

    def scale(self, replicas: int) -> None:
        """Change the Deployment. Pods that are not ready go first, then the youngest; running tasks get their grace."""
        if replicas == self.replicas:
            return
        for _ in range(replicas - self.replicas):
            pod = Pod(self._tie(), self.now_s, self.now_s + self._start_s)
            self.pods.append(pod)
            for _ in range(self.concurrency):
                heapq.heappush(self._slots, (pod.ready_s, self._tie(), pod))
        if replicas < self.replicas:
            by_rank = sorted(self.pods, key=lambda pod: (pod.is_ready(self.now_s), -pod.number))
            for pod in by_rank[: self.replicas - replicas]:
                self._terminate(pod)
        self.history.append((self.now_s, replicas))

    def drain(self, pod: Pod) -> None:
        """The pod takes nothing new."""
        if pod.draining_since_s is None:
            pod.draining_since_s = self.now_s

    def resume(self, pod: Pod) -> None:
        """The pod takes tasks again."""
        pod.draining_since_s = None
        while pod.parked:
            pod.parked -= 1
            heapq.heappush(self._slots, (max(self.now_s, pod.ready_s), self._tie(), pod))

    def _work_off(self, to_s: float) -> None:
        slots, waiting, tasks = self._slots, self.waiting, self.tasks
        while waiting or self.arrived < len(tasks):
            while slots and (slots[0][2].terminating or slots[0][2].draining_since_s is not None):
                heapq.heappop(slots)[2].parked += 1
            if not slots:
                return
            free_s, _, pod = slots[0]
            if waiting:
                start_s = max(self.now_s, free_s)
                if start_s >= to_s:
                    return
                task = waiting.popleft()
            else:
                task = tasks[self.arrived]
                start_s = max(task.arrives_s, free_s)
                if start_s >= to_s:
                    return
                self.arrived += 1
            if task.started_s is None:
                task.started_s = start_s
            ends_s = start_s + task.service_s
            self._ties += 1
            heapq.heappush(pod.running, (ends_s, self._ties, task))
            heapq.heapreplace(slots, (ends_s, self._ties, pod))

    def _collect(self, pod: Pod) -> None:
        while pod.running and pod.running[0][0] <= self.now_s:
            task = heapq.heappop(pod.running)[2]
            self.runs += 1
            self.run_ms += round(task.service_s * 1000)

    def _terminate(self, pod: Pod) -> None:
        self.pods.remove(pod)
        pod.terminating = True
        last_s = self.now_s + GRACE_S
        cut = [entry for entry in pod.running if entry[0] > last_s]
        pod.running = [entry for entry in pod.running if entry[0] <= last_s]
        heapq.heapify(pod.running)
        self.interrupted += len(cut)
        for _, _, task in cut:
            heapq.heappush(self._returns, (last_s, self._tie(), task))
        ended_s = last_s if cut else max((entry[0] for entry in pod.running), default=self.now_s)
        self.pod_seconds += ended_s - pod.created_s
        self._leaving.append(pod)

    def _tie(self) -> int:
        self._ties += 1
        return self._ties
