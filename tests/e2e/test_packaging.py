"""docs/packaging.md: its Dockerfiles are built, and what comes out is what a worker pod needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Runs words in a container of an image, as the image's user; returns what they print.
Run = Callable[..., str]


def _said(*words: str, **environment: str) -> str:
    options = {"cwd": ROOT, "env": {**os.environ, **environment}}
    done = subprocess.run(words, **options, capture_output=True, text=True, check=False)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(words)}:\n{done.stdout}{done.stderr}"
    return str(done.stdout)


def _has_docker() -> bool:
    return (
        bool(shutil.which("docker"))
        and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    )


@contextmanager
def _container(image: str) -> Iterator[Run]:
    if _has_docker():
        yield lambda *words: _said(
            "docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--entrypoint", words[0], image, *words[1:]
        )
        return
    name = _said("buildah", "from", "--pull-never", image).strip()
    try:
        yield lambda *words: _said("buildah", "run", "--isolation", "chroot", name, "--", *words)
    finally:
        _said("buildah", "rm", name)


@pytest.fixture(scope="module")
def pages_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, and Ferryman's wheels where no index has them."""
    folder = tmp_path_factory.mktemp("packaging")
    for name, content in _FENCE.findall((ROOT / "docs/packaging.md").read_text(encoding="utf-8")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    # The page leaves the module out where it is the same.
    shutil.copytree(folder / "derived/acme", folder / "own/acme")
    words = ("pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder / "own/wheels"))
    _said(sys.executable, "-m", *words, ".", "./worker")
    return folder


@pytest.mark.timeout(900)  # a build installs packages
@pytest.mark.parametrize("name", ["derived", "own", "bare"])
def test_an_image_of_the_page_is_what_a_worker_pod_needs(name: str, pages_folder: Path) -> None:
    folder = pages_folder / name
    image = f"localhost/ferryman-{name}:packaging"
    _said(str(ROOT / "hack/images/build"), str(folder), TAG="packaging", WORKER_TAG="dev")
    with _container(image) as run:
        assert run("ferryman", "--version").startswith("ferryman, version")
        assert "Run the tasks of a queue" in run("ferryman", "worker", "--help")
        user = run("python", "-c", "import os; print(os.getuid(), os.access('/app', os.W_OK))")
        assert user.split() == ["65532", "False"]
        cached = run("python", "-c", "import acme.tasks as t, os; print(t.queue.name, os.path.exists(t.__cached__))")
        assert cached.split()[-1] == "True"
        assert run("python", "-c", "import importlib.util; print(importlib.util.find_spec('pip'))").strip() == "None"
        if name == "bare":
            assert run("python", "-c", "import os; print(os.path.lexists('/bin/sh'))").strip() == "False"
