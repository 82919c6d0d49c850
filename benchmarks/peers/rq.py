"""RQ: a process forked for each task; a pool of ten workers where several run at once."""

from __future__ import annotations

from typing import Final

from peers.peer import PYTHON, USUAL, Peer, program, python_version


def _worker(workload: str, concurrency: int) -> tuple[str, ...]:
    rq, url = str(PYTHON / "rq"), "{URL}"
    if workload in ("kill", "sleep"):
        return (rq, "worker-pool", "-n", str(min(10, concurrency)), "-w", "rq.Worker", "-u", url, "-q", "default")
    kind = "rq.Worker" if workload == "pool" else "rq.SimpleWorker"
    return (rq, "worker", "-w", kind, "-u", url, "-q", "--disable-job-desc-logging", "default")


RQ: Final = Peer(
    name="rq",
    runtime="Python",
    version=lambda: python_version(PYTHON, "rq"),
    producer=(str(PYTHON / "python"), program("rq_program.py"), "produce"),
    worker=_worker,
    waiting=("LLEN", "rq:queue:default"),
    tasks=400,
    concurrency=1,
    workloads=USUAL - {"sleep", "latency-5000"} | {"enqueue-many", "pool"},
)
