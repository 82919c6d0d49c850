"""Harmless text: what others wrote (errors, arguments, names) without what a terminal would obey."""

from __future__ import annotations

import re
from typing import Final

#: Control characters, and those that turn the direction of what follows: an error's text is not ours.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """One line of it, with what a terminal would obey shown as �."""
    return _UNSAFE.sub("�", text.replace("\n", " ").replace("\t", " "))


def harmless_lines(text: str) -> str:
    """The same for text of several lines."""
    return "\n".join(harmless(line) for line in text.expandtabs(4).splitlines())
