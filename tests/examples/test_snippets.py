"""Every snippet of the guides is run: files are written as the guide names them, its commands are typed.

A page takes part when it has a fence with `file=NAME`; such fences make up that file, in order. The lines after `$ ` of
a `console run` fence are typed in a folder with the page's files, and what is printed must contain the lines below
(`...` stands for any). A python fence without `file=` is refused, so nothing in such a page goes unrun.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]


@dataclass
class Page:
    """What a page gives to write and to type."""

    files: dict[str, str] = field(default_factory=dict)
    commands: list[tuple[str, list[str]]] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)  # lines of python fences that nothing runs

    @classmethod
    def read(cls, path: Path) -> Page:
        page = cls()
        for token in MarkdownIt("commonmark").parse(path.read_text(encoding="utf-8")):
            if token.type != "fence":
                continue
            language, *words = token.info.split() or [""]
            named = [word.removeprefix("file=") for word in words if word.startswith("file=")]
            if named:
                page.files[named[0]] = page.files.get(named[0], "") + token.content
            elif (language, words) == ("console", ["run"]):
                for typed in re.split(r"^\$ ", token.content, flags=re.MULTILINE)[1:]:
                    command, *printed = typed.splitlines()
                    page.commands.append((command, printed))
            elif language == "python":
                assert token.map
                page.idle.append(token.map[0] + 1)
        return page


PAGES = {path: page for path in sorted(ROOT.glob("docs/*.md")) if (page := Page.read(path)).files}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_guide_does_what_it_says(path: Path, tmp_path: Path) -> None:
    page = PAGES[path]
    assert not page.idle, f"{path.name}: nothing runs the python fences in lines {page.idle}; give them a file="
    assert page.commands, f"{path.name}: nothing runs its files; add a ```console run``` fence"
    for name, text in page.files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for command, printed in page.commands:
        said = typed(command, tmp_path)
        for line in printed:
            assert line == "..." or line in said, f"{path.name}: `{command}` does not print {line!r}:\n{said}"


def typed(command: str, folder: Path) -> str:
    """What it prints. Programs are those of this interpreter's environment; pytest has the settings that pages name."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "FERRYMAN_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = str(folder)
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
        "addopts = -p no:schemathesis -p no:cacheprovider\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, f"`{command}`:\n{done.stdout}"
    return done.stdout


def test_a_page_with_a_snippet_that_fails_is_noticed(tmp_path: Path) -> None:
    """The test above can fail: on an error in a file, on other output, on a fence that nothing runs."""
    page = tmp_path / "page.md"
    page.write_text(
        "```python file=test_x.py\ndef test_x() -> None:\n    assert 1 == 2\n```\n"
        "```console run\n$ pytest -q\n1 passed\n```\n```python\nprint()\n```\n",
        encoding="utf-8",
    )
    read = Page.read(page)
    assert read.idle == [9]
    (tmp_path / "test_x.py").write_text(read.files["test_x.py"], encoding="utf-8")
    with pytest.raises(AssertionError, match="1 failed"):
        typed(read.commands[0][0], tmp_path)
