"""Verdicts: a plugin of the pytest processes on overlays; writes down, line by line, what became of each test.

It also proves where the packages were imported from: `ferryman` from elsewhere ends the process with a usage error.
And it shortens what tests wait for in vain, so that a broken worker is noticed in seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

import ferryman

OVERLAY = Path(os.environ["FERRYMAN_OVERLAY"])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--patience", type=float, help="the longest asyncio.timeout in seconds, whatever was asked for")


def pytest_configure(config: pytest.Config) -> None:
    if not Path(ferryman.__file__).is_relative_to(OVERLAY):
        raise pytest.UsageError(f"ferryman is imported from {ferryman.__file__}, not from the overlay {OVERLAY}")
    if (patience_s := config.getoption("--patience")) is not None:
        original = asyncio.timeout
        asyncio.timeout = lambda delay: original(patience_s if delay is None else min(delay, patience_s))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.outcome == "passed" and report.when != "call":
        return
    crash: Any = getattr(report.longrepr, "reprcrash", None)
    verdict = {
        "test": report.nodeid,
        "when": report.when,
        "outcome": report.outcome,
        "why": crash.message if crash else str(report.longrepr or ""),
    }
    with (OVERLAY / "verdicts").open("a", encoding="utf-8") as record:
        record.write(json.dumps(verdict) + "\n")
