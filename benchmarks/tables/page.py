"""The page: a table between two markers in a document, put there by a command and by nobody's hand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

BEGIN: Final = "<!-- make bench-page writes what follows -->"
END: Final = "<!-- to here -->"


def filled(page: str, content: str) -> str:
    """The page with `content` between the markers. Raises ValueError when they are not there once, in this order."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}, once and in this order")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{rest.partition(END)[2]}"


def fill(path: Path, content: str) -> None:
    """Put `content` between the markers of that page."""
    path.write_text(filled(path.read_text(encoding="utf-8"), content), encoding="utf-8")
