"""Witness: lies in an overlay as `sitecustomize.py`, so Python runs it first in every process that the overlay is for.

It finds our packages in the overlay and nowhere else, whatever becomes of sys.path, and writes down who imported what.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class Finder:
    """First on sys.meta_path."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Ours from the overlay; None for all others."""
        if not os.path.isdir(os.path.join(self._folder, name)):
            return None
        spec = PathFinder.find_spec(name, [self._folder])
        if spec is None:
            raise ImportError(f"{name} is missing in the overlay {self._folder}")
        with open(os.path.join(self._folder, "imports"), "a", encoding="utf-8") as record:
            record.write(f"{os.getpid()} {spec.origin}\n")
        return spec


if __name__ == "sitecustomize":
    sys.meta_path.insert(0, Finder(os.environ["FERRYMAN_OVERLAY"]))
