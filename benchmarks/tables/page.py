"""The page: what a command writes between two markers in a document, and nobody's hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

BEGIN: Final = "<!-- make bench-page writes what follows -->"
END: Final = "<!-- to here -->"


def begin(target: str) -> str:
    """The marker of a section that `make <target>` writes."""
    return f"<!-- make {target} writes what follows -->"


def lines_of(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown: the first row is its head, and all columns but the first are figures. Pure."""
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return [head, "|---" + "|---:" * (len(rows[0]) - 1) + "|", *rest]


def filled(page: str, content: str, begin: str = BEGIN) -> str:
    """The page with `content` between the markers. Raises ValueError when they are not there once, in this order."""
    before, _, rest = page.partition(begin)
    old, _, after = rest.partition(END)
    if page.count(begin) != 1 or END not in rest or "writes what follows" in old:
        raise ValueError(f"the page needs the lines {begin!r} and {END!r}, once and in this order")
    return f"{before}{begin}\n\n{content}\n\n{END}{after}"


def fill(path: Path, content: str, begin: str = BEGIN) -> None:
    """Put `content` between the markers of that page."""
    path.write_text(filled(path.read_text(encoding="utf-8"), content, begin), encoding="utf-8")
