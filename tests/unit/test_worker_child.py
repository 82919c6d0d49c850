"""The child that runs `run_in="process"` tasks: what a handler there knows of its run."""

from __future__ import annotations

from ferryman_worker.child import Assignment, Child, decode_assignment, encode

from ferryman import Context, Queue


def test_a_handler_in_a_process_gets_the_context_that_the_worker_was_given() -> None:
    queue, seen = Queue("q"), list[Context[None]]()

    @queue.task(run_in="process")
    def note(ctx: Context[None]) -> None:
        seen.append(ctx)

    sent = Assignment("note", b"{}", "t1", attempt=2, max_attempts=5, enqueued_ms=1_700, deliveries=4)
    report = Child(queue).run(decode_assignment(encode(sent)))

    assert report.failure is None
    [run] = seen
    assert (run.task_id, run.queue, run.task) == ("t1", "q", "note")
    assert (run.attempt, run.max_attempts, run.enqueued_ms, run.deliveries) == (2, 5, 1_700, 4)
