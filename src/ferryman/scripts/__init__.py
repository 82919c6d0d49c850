"""The Lua scripts, one file per transition, and how they are loaded.

What several of them do stands once, in `parts/`; a line `-- part: <name>` takes it in. A line `-- script: <name>` takes
in a whole script, as the body of a function of KEYS and ARGV.

Redis kills nobody's write on a full memory when the script says `allow-oom`; the flag needs a `#!lua` line,
which Redis knows from 7.0 on and fakeredis does not, so the loader adds it where the server understands it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from ferryman.digests import sha1_of

#: Scripts that may be refused when Redis is full: they bring tasks in. All others make room or keep workers alive.
GROWING: Final = frozenset({"enqueue", "fire", "revive"})

#: Run once to find out whether the server knows script flags. It writes nothing, so no state of the server refuses it.
PROBE: Final = "#!lua flags=no-writes\nreturn 1"

# Not importlib.resources, which costs a worker a tenth of its start: packages are always installed as files.
_FOLDER: Final = Path(__file__).parent
_SCRIPT: Final = re.compile(r"^-- script: (\w+)$", re.MULTILINE)
_PART: Final = re.compile(r"^-- part: (\w+)$", re.MULTILINE)


class Script(msgspec.Struct, frozen=True):
    """A script's text and the SHA-1 that EVALSHA wants."""

    name: str
    text: str
    sha: str

    @classmethod
    def of(cls, name: str, text: str) -> Script:
        """A script with this text."""
        return cls(name, text, sha1_of(text.encode()))


#: How a link gets a script: by its name, and whether the server knows script flags.
Load = Callable[[str, bool], Script]


@cache
def load(name: str, flags_known: bool) -> Script:
    """Read `<name>.lua`. Raises FileNotFoundError when there is no such transition."""
    text = _SCRIPT.sub(lambda script: _read(f"{script[1]}.lua"), _read(f"{name}.lua"))
    text = _with_parts(text, set())
    if flags_known:
        flags = "" if name in GROWING else " flags=allow-oom"
        text = f"#!lua{flags}\n{text}"
    return Script.of(name, text)


def _with_parts(text: str, taken: set[str]) -> str:
    """A part that several others take in stands where the first of them does."""

    def part(line: re.Match[str]) -> str:
        if line[1] in taken:
            return ""
        taken.add(line[1])
        return _with_parts(_read(f"parts/{line[1]}.lua"), taken)

    return _PART.sub(part, text)


def _read(path: str) -> str:
    return (_FOLDER / path).read_text(encoding="utf-8")
