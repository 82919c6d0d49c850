"""Stage: one queue on a real server, whose scripts read a clock that the test moves.

The scripts run as they are but for one word: `TIME` is read from a key, so that time stands still between steps and
an example that failed once fails again. `alter` may break a script on its way to the server, to see the model find it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from ferryman.call import Call, command
from ferryman.inspector import Inspector, QueueStats
from ferryman.keys import Keys
from ferryman.link import SyncLink, _Talk
from ferryman.scripts import Script, load
from ferryman_model.photo import PHOTOGRAPH, Photo, develop

T = TypeVar("T")

#: (name of a script, its text) -> the text to run.
Alter = Callable[[str, str], str]

_CLOCK: Final = "model-clock"
_REAL_TIME, _OUR_TIME = "redis.call('TIME')", f'redis.call("HMGET", "{_CLOCK}", "s", "us")'
#: Any moment will do; all runs begin at the same one.
_DAWN_MS: Final = 1_800_000_000_000


def as_written(name: str, text: str) -> str:
    """Alters nothing."""
    return text


class Stage:
    """The queue `model` of the server at `url`. Everything in that database is wiped by `clear`."""

    def __init__(self, url: str, alter: Alter = as_written, queue: str = "model") -> None:
        self.queue = queue
        self.keys = Keys(queue)
        self.now_ms = _DAWN_MS
        self._link = SyncLink.from_url(url)
        self._link._talk = _TimedTalk(self._link, alter)
        self._look: Call[Photo] = command("EVAL", PHOTOGRAPH, 0, self.keys.queue, read=develop)
        self._stats = Inspector(queue).stats()

    def clear(self) -> None:
        """An empty queue, at the beginning of time."""
        self._link.run(command("FLUSHDB", read=bool))
        self.now_ms = _DAWN_MS
        self.advance(0)

    def advance(self, ms: int) -> None:
        """`ms` later."""
        self.now_ms += ms
        seconds, rest_ms = divmod(self.now_ms, 1_000)
        self._link.run(command("HSET", _CLOCK, "s", seconds, "us", rest_ms * 1_000, read=int))

    def run(self, call: Call[T]) -> T:
        """Run one call."""
        return self._link.run(call)

    def photograph(self) -> tuple[Photo, QueueStats]:
        """All that the queue's keys hold, and what the stats script makes of it."""
        photo, stats = self._link.run_all([self._look, self._stats])
        if isinstance(stats, Exception):
            raise stats
        return photo, stats

    def close(self) -> None:
        """Close the connection."""
        self._link.close()


class _TimedTalk(_Talk):
    """Sends scripts that read our clock."""

    def __init__(self, link: SyncLink, alter: Alter) -> None:
        super().__init__(link.address, self._timed)
        self._alter = alter
        self._altered: dict[str, Script] = {}

    def _timed(self, name: str, flags_known: bool) -> Script:
        if name not in self._altered:
            text = self._alter(name, load(name, flags_known).text).replace(_REAL_TIME, _OUR_TIME)
            assert "TIME'" not in text, f"{name}.lua reads the server's clock in a way that the stage does not know"
            sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            self._altered[name] = Script(name, text, sha)
        return self._altered[name]
