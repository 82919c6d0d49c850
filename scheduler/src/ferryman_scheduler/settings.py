"""Settings of the scheduler, read from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ferryman.settings import BadSetting

DEFAULT_PORT: Final = 8080


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """`port` serves /livez, /readyz and /metrics; 0 takes any free one."""

    port: int = DEFAULT_PORT

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> SchedulerSettings:
        """Reads FERRYMAN_PORT. Raises BadSetting."""
        text = env.get("FERRYMAN_PORT", "").strip() or str(DEFAULT_PORT)
        if not text.isdecimal() or int(text) > 65_535:
            raise BadSetting("FERRYMAN_PORT", f"{text!r} is no port: a number up to 65535, 0 for any free one")
        return cls(port=int(text))
