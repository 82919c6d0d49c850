"""Huey: the tasks, and the producer."""

from __future__ import annotations

from huey import RedisHuey
from peers.programs import marks

huey = RedisHuey("b", url=marks.URL, results=False)
TASKS = {kind: huey.task(name=kind)(run) for kind, run in marks.BLOCKING.items()}

if __name__ == "__main__":
    marks.produce(lambda kind, value: TASKS[kind](value))
