"""Clock: the time that the scripts see in a test. It stands still until the test moves it.

The moment lies in a key of the tests' Redis, and each script is loaded with a line before it that answers `TIME`
from there. Nothing else of a script is touched, so the same clock works on every server.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any, Final

from ferryman.call import Call, command
from ferryman.scripts import Script, load

#: STRING: the moment, in epoch milliseconds.
_NOW: Final = "ferryman-testing:now-ms"

_TIME_FROM_KEY: Final = (
    "local redis = (function(real) "
    f"local now = tonumber(real.call('GET', '{_NOW}')) "
    "local clock = {string.format('%.0f', math.floor(now / 1000)), string.format('%.0f', now % 1000 * 1000)} "
    "local function call(name, ...) if name == 'TIME' then return clock end return real.call(name, ...) end "
    "return setmetatable({call = call}, {__index = real}) end)(redis) "
)


class Clock:
    """Starts at the moment it is made, in whole milliseconds."""

    def __init__(self) -> None:
        self.now_ms = int(time.time() * 1_000)

    def set(self) -> Call[Any]:
        """Tells the server what time it is."""
        return command("SET", _NOW, self.now_ms, read=bool)


@cache
def load_timed(name: str, flags_known: bool) -> Script:
    """The script `name`, to whom TIME is what the clock says. Stands in for `scripts.load`."""
    text = load(name, flags_known).text
    first, rest = text.split("\n", 1) if text.startswith("#!") else ("", text)
    return Script.of(name, (f"{first}\n" if first else "") + _TIME_FROM_KEY + rest)
