"""Overlay: a copy of the packages that wins over the installed ones, so that a mutation never touches the tree.

Others may be running tests on the tree at the same time. Every process that inherits `environment`, workers that a
test starts included, imports from the copy: `witness.py` lies in it as `sitecustomize.py`, sees to that and keeps a
record.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from ferryman_mutation.catalogue import PACKAGES, ROOT, Mutation
from ferryman_mutation.witness import Finder

_HERE = Path(__file__).parent


class Overlay:
    """One copy of all packages in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @classmethod
    def of_tree(cls, folder: Path) -> Overlay:
        """Copies the tree as it is now. Compiled modules come along: they stay valid, as times are kept."""
        for path, package in PACKAGES.items():
            shutil.copytree(ROOT / path, folder / package)
        shutil.copy(_HERE / "witness.py", folder / "sitecustomize.py")
        return cls(folder)

    def mutated(self, folder: Path, mutation: Mutation) -> Overlay:
        """A copy of this copy with one thing broken. Raises Stale."""
        shutil.copytree(self.folder, folder, ignore=lambda *_: {"imports", "verdicts", "output", "tmp"})
        path = folder / self._inside(mutation.file)
        path.write_text(mutation.apply(path.read_text(encoding="utf-8")), encoding="utf-8")
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()
        return Overlay(folder)

    def environment(self) -> dict[str, str]:
        """For a pytest process on this copy."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "FERRYMAN_"))}
        return {**kept, "PYTHONPATH": f"{self.folder}{os.pathsep}{_HERE.parent}", "FERRYMAN_OVERLAY": str(self.folder)}

    def take_imports(self) -> None:
        """In a process that is running already: import from here from now on, as those with `environment` do."""
        sys.meta_path.insert(0, Finder(str(self.folder)))

    def imports(self) -> dict[int, set[str]]:
        """Process id -> files from which it imported a package, as the witness has written them down."""
        seen: dict[int, set[str]] = {}
        record = self.folder / "imports"
        for line in record.read_text(encoding="utf-8").splitlines() if record.exists() else ():
            pid, origin = line.split(" ", 1)
            seen.setdefault(int(pid), set()).add(origin)
        return seen

    def _inside(self, file: str) -> Path:
        for path, package in PACKAGES.items():
            if file.startswith(path + "/"):
                return Path(package) / file.removeprefix(path + "/")
        raise ValueError(f"{file} is in none of the packages {', '.join(PACKAGES)}")
