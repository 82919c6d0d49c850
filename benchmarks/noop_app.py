"""The app that the benchmark's worker runs: one task that does nothing."""

from ferryman import Queue

bench = Queue("bench")


@bench.task
async def noop(value: int) -> None:
    """Nothing: what is measured is everything around it."""
