"""Kill: every process of a busy worker gets SIGKILL, an identical one starts, and each task is looked for by its id.

200 tasks of 0.2 s, ten at once, default settings. The kill comes when 80 have ended and at least 5 are running, or it
would prove nothing. Then there is time for even a slow sweep; what has not run by then is lost, or held for longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from peers.peer import Peer
from workloads.ground import Ground, Void
from workloads.measure import Figure, Figures, Workload, part_of

_TASKS, _ENDED_FIRST, _RUNNING_AT_LEAST = 200, 80, 5
_WAIT_S = 90.0
_KILLS = 3


class NothingInFlight(Void):
    """The kill met a worker between tasks."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a kill did to the tasks."""

    lost: int
    twice: int  # ended more than once
    twice_not_in_flight: int  # of these, those that were not running at the kill: nothing excuses them
    in_flight: int


def judge(wanted: Collection[str], running: Collection[str], ended: list[str]) -> Verdict:
    """`running` had started and not ended at the kill; `ended` has each end of a task, before and after it."""
    times: dict[str, int] = {}
    for task in ended:
        times[task] = times.get(task, 0) + 1
    twice = {task for task, count in times.items() if count > 1}
    return Verdict(len(set(wanted) - set(times)), len(twice), len(twice - set(running)), len(set(running)))


def kills(workload: str) -> Callable[[Ground, Peer, float], Figures]:
    """A run of that workload. Tasks that end in step leave moments with nothing in flight: it may take some kills."""

    def run(ground: Ground, peer: Peer, scale: float) -> Figures:
        for _ in range(_KILLS - 1):
            try:
                return _run(workload, ground, peer, scale)
            except NothingInFlight:
                ground.stop()
        return _run(workload, ground, peer, scale)

    return run


def _run(workload: str, ground: Ground, peer: Peer, scale: float) -> Figures:
    tasks = part_of(_TASKS, scale, least=60)
    ended_first = tasks * _ENDED_FIRST // _TASKS
    ground.reset()
    ground.produce(peer, workload, "crash", tasks, "one")
    ground.start_aside(peer)
    ground.start(peer, workload)

    def is_busy() -> bool:
        ended = len(ground.log("E"))
        return ended >= ended_first and len(ground.log("S")) - ended >= _RUNNING_AT_LEAST

    ground.until(is_busy, 60, "a busy worker")
    ground.kill_workers()
    killed_s, pids = time.time(), {words[2] for words in ground.log("S")}
    started, ended = ({words[0] for words in ground.log(letter)} for letter in "SE")
    running = started - ended
    if len(running) < _RUNNING_AT_LEAST:
        raise NothingInFlight(f"{len(running)} tasks were in flight at the kill, which proves nothing")
    ground.start(peer, workload)
    deadline = time.monotonic() + _WAIT_S
    while len({words[0] for words in ground.log("E")}) < tasks and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.5)  # for what runs once more
    ends = ground.log("E")
    if any(words[2] in pids and float(words[1]) > killed_s for words in ends):
        raise Void("a process of the killed worker lived on")
    verdict = judge([str(number) for number in range(tasks)], running, [words[0] for words in ends])
    first_end_s: dict[str, float] = {}
    for task, at_s, _ in ends:
        first_end_s.setdefault(task, float(at_s))
    back_s = max((first_end_s[task] for task in running if task in first_end_s), default=killed_s) - killed_s
    found = {"lost": verdict.lost, "twice": verdict.twice, "unexcused": verdict.twice_not_in_flight}
    # Time tells something only when all came back.
    return found | ({} if verdict.lost else {"back": back_s, "all": max(first_end_s.values()) - killed_s})


def _workload(name: str, title: str) -> Workload:
    figures = (
        Figure("lost", f"{title}: not run within 90 s, of 200", "tasks", False),
        Figure("twice", f"{title}: run twice", "tasks", False),
        Figure("unexcused", f"{title}: run twice, and not in flight", "tasks", False),
        Figure("back", f"{title}: until those in flight have run", "s", False),
        Figure("all", f"{title}: until all have run", "s", False),
    )
    return Workload(name, f"{title} of a busy worker, default settings", figures, kills(name))


KILL = _workload("kill", "kill -9")
UNSEEN = _workload("kill-unseen", "kill -9, and only silence tells")
