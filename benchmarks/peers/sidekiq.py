"""Sidekiq, Ruby's queue, at its default of five threads for no-ops."""

from __future__ import annotations

from typing import Final

from peers.peer import USUAL, Peer, first_line, program


def _version() -> str | None:
    line = first_line(["sidekiq", "-V"])
    return line.split()[-1] if line else None


SIDEKIQ: Final = Peer(
    name="sidekiq",
    runtime="Ruby",
    version=_version,
    producer=("ruby", program("sidekiq_program.rb"), "produce"),
    worker=lambda _, concurrency: ("sidekiq", "-r", program("sidekiq_program.rb"), "-c", str(concurrency)),
    waiting=("LLEN", "queue:default"),
    tasks=15_000,
    concurrency=5,
    workloads=USUAL | {"enqueue-many", "sync"},
)
