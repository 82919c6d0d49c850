"""The images of the programs, if `make images` has built them: how large they are, stored and on their way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from tables.results import Image

NAMES: Final = ("worker", "operator")


def images() -> dict[str, Image | None]:
    """By name; None for one that is not built, or that no tool here can look at."""
    tag = os.environ.get("TAG", "dev")
    return {name: _buildah(f"localhost/ferryman-{name}:{tag}") if shutil.which("buildah") else None for name in NAMES}


def _buildah(name: str) -> Image | None:
    """Written out as a registry would get it: what its layers say of themselves, and what lies there."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["buildah", "push", "-q", name, f"oci:{folder}/image:it"]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            return None
        blobs = Path(folder) / "image" / "blobs" / "sha256"
        manifest = _read(blobs, _read(blobs.parents[1], "index.json")["manifests"][0]["digest"])
        layers = [blobs / layer["digest"].partition(":")[2] for layer in manifest["layers"]]
        return Image(sum(map(_unpacked_bytes, layers)), sum(layer.stat().st_size for layer in layers))


def _read(folder: Path, name: str) -> Any:
    return json.loads((folder / name.partition(":")[2] if ":" in name else folder / name).read_text())


def _unpacked_bytes(layer: Path) -> int:
    """Of a layer that may be compressed with gzip."""
    with layer.open("rb") as stored:
        if stored.read(2) != b"\x1f\x8b":
            return layer.stat().st_size
    unpacked = subprocess.run(f"gzip -dc {layer} | wc -c", shell=True, capture_output=True, text=True, check=True)
    return int(unpacked.stdout)
