"""Joining a queue: who goes to work is registered, and its beat child knows for whom to beat."""

from __future__ import annotations

from pathlib import Path

from ferryman_bench import Bench
from ferryman_worker.board import Board, mono_ms
from ferryman_worker.counters import Recovered
from ferryman_worker.identity import Identity
from ferryman_worker.settings import WorkerSettings
from ferryman_worker.tenure import Registrar

from ferryman.manifest import Manifest


def registrar(bench: Bench, board: Board, folder: Path, pod: str = "pod-1") -> Registrar:
    settings = WorkerSettings("redis://r", pod_uid=pod, container="w", run_dir=folder, termination_log=folder / "log")
    return Registrar(
        bench.link,
        bench.workers,
        board,
        Identity(settings, bench.name),
        Manifest("app", {}),
        concurrency=3,
        timeout_ms=15_000,
        end_beats=lambda: None,
        recovered=Recovered(),
    )


async def test_who_has_joined_is_registered_and_its_beats_are_announced(bench: Bench, tmp_path: Path) -> None:
    board, before_ms = Board(), mono_ms()
    worker, _ = await registrar(bench, board, tmp_path).join()

    [row] = await bench.run(bench.workers.list())
    assert (row.id, row.concurrency, row.timeout_ms) == (worker, 3, 15_000)
    assert board.identity()[1] == worker
    assert before_ms + 15_000 <= board.promised_ms <= mono_ms() + 15_000
    await bench.enqueue("t")
    assert [task.id for task in await bench.fetch(worker)] == ["t"]


async def test_who_has_left_is_beaten_for_no_more(bench: Bench, tmp_path: Path) -> None:
    board = Board()
    joined = registrar(bench, board, tmp_path)
    worker, _ = await joined.join()
    assert await joined.leave(worker)

    assert board.identity()[1] == ""
    assert await bench.run(bench.workers.list()) == []
