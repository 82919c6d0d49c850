"""Figures: everything that a scrape is answered from, wherever in the worker it is counted."""

from __future__ import annotations

import msgspec

from ferryman_worker.board import Board
from ferryman_worker.counters import Counters
from ferryman_worker.ledger import Ledger
from ferryman_worker.usage import Processes


class Figures(msgspec.Struct, frozen=True):
    """The worker's own counts, what its beat child counts, and what its processes use."""

    counters: Counters
    board: Board
    ledger: Ledger
    processes: Processes
