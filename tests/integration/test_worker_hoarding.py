"""Two workers and mixed tasks: what one of them fetched ahead of its slow tasks is run by the one that is idle."""

from __future__ import annotations

from ferryman_yard.yard import Yard

SHORT, QUICK = 400, 20


async def test_short_tasks_never_wait_behind_slow_ones_while_another_worker_is_idle(yard: Yard) -> None:
    # Given a worker that has learned that tasks are short, and so fetches far ahead
    busy = await yard.worker(FERRYMAN_CONCURRENCY="2")
    await yard.enqueue(*[f"short{i}" for i in range(SHORT)], name="note")
    await yard.until_stats(completed=SHORT)
    # When slow tasks for all its slots come in one fetch with short ones behind them
    await yard.bench.run(yard.bench.policy.hold(True))
    await yard.enqueue_wait("slow0", "slow1")
    await yard.enqueue(*[f"quick{i}" for i in range(QUICK)], name="note")
    await yard.bench.run(yard.bench.policy.hold(False))
    await yard.until(lambda: len(yard.lines("start")) == 2)
    await yard.worker(FERRYMAN_CONCURRENCY="2")
    # I expect the idle one to run all short ones while the slow ones are still at it
    await yard.until_stats(completed=SHORT + QUICK, active=2, waiting=0)
    assert {pid for _, pid in yard.lines("start")} == {str(busy.process.pid)}
    assert not yard.lines("end")
    yard.gate.touch()
    await yard.until_stats(completed=SHORT + QUICK + 2, active=0)
