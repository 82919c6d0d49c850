"""Watches: notices when a watch is dead although nobody says so.

A watch that hangs keeps its connection and passes every health check, and brings nothing. So what a list shows newer
than what is known is owed by the watch. One that owes something for longer than it takes to reconnect, and brought
nothing at all in that time, is dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: kopf gives up a connection on which nothing came for 70 s, not even a bookmark; this gives it the time to.
PATIENCE_S: Final = 75.0


class Watches:
    """What the watches owe, by kind and namespace; None is the watch of all namespaces. Times are monotonic."""

    def __init__(self) -> None:
        self._owing_since_s: dict[tuple[str, str | None], float] = {}

    def owes(self, kind: str, namespace: str | None, now_s: float) -> None:
        """A list of `kind` in `namespace` has shown what the watch had not brought."""
        self._owing_since_s.setdefault((kind, namespace), now_s)

    def heard(self, kind: str, namespace: str) -> None:
        """A watch has brought something of `namespace`: it is alive."""
        if self._owing_since_s:
            self._owing_since_s.pop((kind, namespace), None)
            self._owing_since_s.pop((kind, None), None)

    def dead(self, now_s: float, patience_s: float = PATIENCE_S) -> Sequence[str]:
        """The watches that must be taken for dead, in words."""
        return [
            f"{kind} in {namespace or 'all namespaces'}"
            for (kind, namespace), since_s in self._owing_since_s.items()
            if now_s - since_s > patience_s
        ]
