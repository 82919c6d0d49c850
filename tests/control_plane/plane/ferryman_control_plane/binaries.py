"""Where the programs of Kubernetes lie: `hack/cluster/build` has built them and left links in .cluster."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[4]

PARTS = ROOT / ".cluster/parts"


class NotBuilt(Exception):
    """A program is missing; the message says which command builds it."""


def program(name: str) -> str:
    """The path of etcd, kube-apiserver, kube-controller-manager, kube-scheduler or kwok. Raises NotBuilt."""
    path = PARTS / "kwok" / name if name == "kwok" else PARTS / "kubernetes" / name
    if not path.exists():
        raise NotBuilt(f"{path.relative_to(ROOT)} is missing: run hack/cluster/build{' --kwok' * (name == 'kwok')}")
    return str(path)
