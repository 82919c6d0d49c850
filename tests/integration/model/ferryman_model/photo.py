"""Photo: all that stands in Redis under a queue's prefix at one instant, as it is and not as a script sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

#: Of a test's queue only: it reads with KEYS.
PHOTOGRAPH: Final = """
local shot = {}
for _, key in ipairs(redis.call('KEYS', 'ferryman:{' .. ARGV[1] .. '}:*')) do
  local kind, value = redis.call('TYPE', key).ok, false
  if kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'hash' then value = redis.call('HGETALL', key)
  else value = redis.call('GET', key) end
  shot[#shot + 1] = {key, value}
end
return shot
"""

Scores = dict[str, int]
Fields = dict[str, str]


@dataclass(slots=True)
class Photo:
    """Lists are in Redis' order, left end first; sets map a member to its score, an epoch in ms if it is a moment."""

    waiting: list[str] = field(default_factory=list)
    handed: list[str] = field(default_factory=list)
    priority: Scores = field(default_factory=dict)
    delayed: Scores = field(default_factory=dict)
    blocked: Scores = field(default_factory=dict)
    dead: Scores = field(default_factory=dict)
    completed: Scores = field(default_factory=dict)
    workers: Scores = field(default_factory=dict)
    stats: Fields = field(default_factory=dict)
    slots: Fields = field(default_factory=dict)
    suspected: Fields = field(default_factory=dict)
    untold: Fields = field(default_factory=dict)
    handed_seen: Fields = field(default_factory=dict)
    config: Fields = field(default_factory=dict)
    manifest: Fields = field(default_factory=dict)
    #: By task id, by worker id, by unique key.
    task: dict[str, Fields] = field(default_factory=dict)
    active: dict[str, list[str]] = field(default_factory=dict)
    worker: dict[str, Fields] = field(default_factory=dict)
    unique: dict[str, str] = field(default_factory=dict)


_BY_ID = ("task", "active", "worker", "unique")


def develop(reply: Any) -> Photo:
    """The photo that Redis' reply shows. Raises AttributeError when there is a key that no part of Ferryman names."""
    photo = Photo()
    for raw_key, raw_value in reply:
        name, _, rest = raw_key.decode().split("}:", 1)[1].partition(":")
        name = name.replace("-", "_")
        words = raw_value.decode() if isinstance(raw_value, bytes) else [word.decode() for word in raw_value]
        if name in _BY_ID:
            value = words if name in ("unique", "active") else dict(zip(words[::2], words[1::2], strict=True))
            getattr(photo, name)[rest] = value
        elif isinstance(getattr(photo, name), list):
            setattr(photo, name, words)
        elif name in ("stats", "slots", "suspected", "untold", "handed_seen", "config", "manifest"):
            setattr(photo, name, dict(zip(words[::2], words[1::2], strict=True)))
        else:
            setattr(photo, name, {words[i]: int(float(words[i + 1])) for i in range(0, len(words), 2)})
    return photo
