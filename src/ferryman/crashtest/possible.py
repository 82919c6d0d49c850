"""Possible: which kinds of kill can be done here. One that can't is an error if asked for, and left out if not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ferryman.cli.failure import CommandFailed
from ferryman.crashtest import kinds
from ferryman.crashtest.links import can_be_relayed
from ferryman.crashtest.memory_cage import MemoryCage
from ferryman.crashtest.outcome import Settings

_NO_CAGE: Final = "no memory cgroup can be made here (that takes Linux, root, and a cgroup file system to write to)"
_NO_RELAY: Final = "no proxy can stand before a Redis with TLS or behind a socket file"


@dataclass(frozen=True, slots=True)
class Choice:
    """`kinds` in their order; `left_out`: kind -> why. `cage` is there when `oom` is among the kinds."""

    kinds: Sequence[str]
    left_out: dict[str, str]
    cage: MemoryCage | None


def choose_kinds(settings: Settings) -> Choice:
    """Those that the settings name, or all that are possible. Raises CommandFailed."""
    cage = MemoryCage.build() if kinds.OOM in settings.kinds else None
    impossible = {} if cage is not None else {kinds.OOM: _NO_CAGE}
    if settings.redis_url and not can_be_relayed(settings.redis_url):
        impossible |= dict.fromkeys(kinds.LINK_KINDS, _NO_RELAY)
    left_out = {kind: why for kind, why in impossible.items() if kind in settings.kinds}
    if left_out and settings.kinds_asked:
        kind, why = next(iter(left_out.items()))
        raise CommandFailed(f"--kinds {kind}: {why}")
    return Choice([kind for kind in settings.kinds if kind not in left_out], left_out, cage)
