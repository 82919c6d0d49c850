"""What commands print: aligned tables and JSON on stdout, progress and notes on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from ferryman.cli.harmless import harmless


def print_json(value: Any) -> None:
    """One JSON document; non-ASCII text stays readable."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], numeric: Sequence[str] = ()) -> None:
    """Columns as wide as their content; those named in `numeric` stand at the right. A terminal obeys none of it."""
    lines = [list(headings), *([harmless(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if heading in numeric else cell.ljust(width)
            for heading, cell, width in zip(headings, line, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def note(message: str) -> None:
    """A remark for the person, out of the way of what programs read."""
    click.echo(click.style(message, dim=True), err=True)


def duration(seconds: float) -> str:
    """A duration as people say it: `0.4s`, `12s`, `3m05s`, `2h10m`, `4d`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d"


class Progress:
    """A counter on stderr for work that takes longer than a second; silent when stderr is no terminal.

    Use it as a context manager: the line is ended on the way out, whatever happens.
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._started = time.monotonic()
        self._shown_at = 0.0
        self._visible = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._visible:
            click.echo("", err=True)

    def at(self, count: int) -> bool:
        """Shows the count, at most five times a second. Always True: a person stops it with Ctrl-C."""
        now = time.monotonic()
        if now - self._started >= 1 and now - self._shown_at >= 0.2 and sys.stderr.isatty():
            self._shown_at, self._visible = now, True
            of = f" of {self._total:,}" if self._total else ""
            click.echo(f"\r{self._what} {count:,}{of} ", err=True, nl=False)
        return True
