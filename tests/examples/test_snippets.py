"""Every snippet of the guides is run, or checked as far as it can be; what is left has a reason in unrun.toml.

- A fence with `file=NAME` is written; such fences make up that file, in order.
- The lines after `$ ` of a `console run` fence are typed in a folder with the page's files, and what is printed must
  contain the lines below (`...` stands for any). `console serve` starts a program that runs until the page ends, and
  waits for the lines below.
- YAML and JSON are loaded; a TaskQueue must fit the CRD.
- Of other commands, those of `ferryman` are parsed by its own command line, `make` must know the target, and `pip
  install` an extra that exists.

Whatever is none of these stands in unrun.toml.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from markdown_it import MarkdownIt

from ferryman.cli.main import root

ROOT = Path(__file__).parents[2]
#: Why a page's fences that begin with a word are not run: (a page, or a folder of pages; the word).
UNRUN: dict[tuple[str, str], str] = {
    (place, word): reason
    for place, reasons in tomllib.loads((Path(__file__).parent / "unrun.toml").read_text(encoding="utf-8")).items()
    for word, reason in reasons.items()
}

_RUN = (["console", "run"], ["console", "serve"])
_DATA = ("yaml", "json")
_DRAWN = ("mermaid", "text")


@dataclass(frozen=True)
class Fence:
    """One snippet of a page."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    content: str

    @property
    def file(self) -> str:
        """The file that it is a part of; empty when it is none."""
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), "")

    @property
    def is_run(self) -> bool:
        return bool(self.file) or [self.language, *self.words] in _RUN

    @property
    def begins(self) -> str:
        """Its first word."""
        return (self.content.split() or [""])[0]

    @property
    def excuse(self) -> tuple[str, str] | None:
        """Its entry in UNRUN."""
        keys = ((place, self.begins) for place in (self.page, str(Path(self.page).parent)))
        return next((key for key in keys if key in UNRUN), None)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def fences(path: Path, root: Path = ROOT) -> Iterator[Fence]:
    for token in MarkdownIt("commonmark").parse(path.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            assert token.map
            language, *words = token.info.split() or [""]
            page = path.relative_to(root).as_posix()
            yield Fence(page, token.map[0] + 1, language, tuple(words), token.content)


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/README.md")]
FENCES = [fence for path in sorted(PAGES) for fence in fences(path)]
GUIDES = sorted({fence.page for fence in FENCES if fence.is_run})


@dataclass
class Workshop:
    """A folder with a page's files, in which its commands are typed."""

    folder: Path
    found: dict[str, str] = field(default_factory=dict)  # environment that a served program told

    def write(self, fence: Fence) -> None:
        path = self.folder / fence.file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(fence.content if _has_django_tasks() else fence.content.replace("django.tasks", "django_tasks"))

    def environment(self) -> dict[str, str]:
        """Programs are those of this interpreter's environment; no setting of ours gets in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "FERRYMAN_"))}
        kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(self.folder), os.environ.get("PYTHONPATH")]))
        return {**kept, "COLUMNS": "200", **self.found}

    def type(self, command: str) -> str:
        """What it prints; pytest has the settings that pages name."""
        (self.folder / "pytest.ini").write_text(
            "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
            "addopts = -p no:schemathesis -p no:cacheprovider\n",
            encoding="utf-8",
        )
        words = shlex.split(command, comments=True)
        settings = [
            words.pop(0).split("=", 1) for word in list(words) if re.match(r"[A-Z_]+=", word) and word == words[0]
        ]
        done = subprocess.run(
            words,
            cwd=self.folder,
            env={**self.environment(), **dict(settings)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, f"`{command}`:\n{done.stdout}"
        return done.stdout

    @contextmanager
    def serving(self, command: str, printed: list[str]) -> Iterator[None]:
        """Runs until the page ends; goes on when the lines were printed. What it exports counts from then on."""
        process = subprocess.Popen(
            shlex.split(command),
            cwd=self.folder,
            env=self.environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said: list[str] = []
        reader: threading.Thread | None = None
        assert process.stdout
        patience = threading.Timer(120, process.kill)
        patience.start()
        try:
            wanted = [line for line in printed if line != "..."]
            for line in process.stdout:
                said.append(line)
                if found := re.match(r"\s*(?:export )?(FERRYMAN_REDIS_URL)=(\S+)", line):
                    self.found[found[1]] = found[2]
                wanted = [one for one in wanted if one not in line]
                if not wanted and "ferryman stats" in "".join(said):
                    break
            assert not wanted, f"`{command}` did not print {wanted}:\n{''.join(said)}"
            patience.cancel()
            reader = threading.Thread(target=process.stdout.read, daemon=True)  # or it would stop when the pipe is full
            reader.start()
            yield
        finally:
            patience.cancel()
            process.terminate()
            process.wait(timeout=60)
            if reader is not None:
                reader.join()
            process.stdout.close()


def _has_django_tasks() -> bool:
    """Django has them since 6.0; pages show those, and before that their backport is the same."""
    import django

    return django.VERSION >= (6, 0)


def run(page: list[Fence], folder: Path) -> None:
    """Write its files, then type its commands."""
    shop = Workshop(folder)
    for fence in page:
        if fence.file:
            shop.write(fence)
    with ExitStack() as serving:
        for fence in page:
            if fence.file or not fence.is_run:
                continue
            for typed in re.split(r"^\$ ", fence.content, flags=re.MULTILINE)[1:]:
                command, *printed = typed.splitlines()
                if fence.words == ("serve",):
                    serving.enter_context(shop.serving(command, printed))
                    continue
                said = shop.type(command)
                for line in filter(None, printed):
                    assert line == "..." or line in said, f"{fence}: `{command}` does not print {line!r}:\n{said}"


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_does_what_it_says(page: str, tmp_path: Path) -> None:
    mine = [fence for fence in FENCES if fence.page == page]
    assert any(fence.is_run and not fence.file for fence in mine), (
        f"{page}: nothing runs its files; add ```console run```"
    )
    run(mine, tmp_path)


@pytest.mark.parametrize("fence", [fence for fence in FENCES if not fence.is_run], ids=str)
def test_a_snippet_is_checked_or_says_why_not(fence: Fence) -> None:
    if fence.language in _DRAWN or fence.excuse:
        return
    if fence.language in _DATA:
        check_data(fence)
        return
    for command in commands(fence):
        check_command(fence, command)


@pytest.mark.parametrize("fence", FENCES, ids=str)
def test_commands_of_ferryman_in_any_snippet_can_be_parsed(fence: Fence) -> None:
    is_output = fence.excuse is not None and UNRUN[fence.excuse].startswith("what a program printed")
    if fence.language not in ("", "console", "sh") or is_output:
        return
    for command in commands(fence):
        if command[:1] == ["ferryman"] and not any("…" in word or word.startswith("ferryman ") for word in command):
            check_command(fence, command)


@pytest.mark.parametrize("key", UNRUN, ids=str)
def test_no_excuse_outlives_its_snippet(key: tuple[str, str]) -> None:
    assert any(fence.excuse == key and not fence.is_run for fence in FENCES), f"{key}: no snippet needs it"


def check_data(fence: Fence) -> None:
    """It loads; a TaskQueue fits the CRD."""
    for document in yaml.safe_load_all(fence.content):
        assert document, f"{fence} is empty"
        if isinstance(document, dict) and document.get("apiVersion") == "ferryman.dev/v1alpha1":
            definitions = (yaml.safe_load(file.read_text("utf-8")) for file in (ROOT / "manifests").glob("crd*.yaml"))
            [crd] = [one for one in definitions if one["spec"]["names"]["kind"] == document["kind"]]
            schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            jsonschema.validate(document["spec"], _closed(schema["properties"]["spec"]))


def _closed(schema: Any) -> Any:
    """The same schema that allows no field it does not name, as the API server warns of."""
    if isinstance(schema, dict):
        open_ = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
        closed = {name: _closed(value) for name, value in schema.items()}
        return closed | {"additionalProperties": False} if "properties" in schema and not open_ else closed
    return [_closed(one) for one in schema] if isinstance(schema, list) else schema


def commands(fence: Fence) -> Iterator[list[str]]:
    """Its command lines as words, without prompts, comments and what is printed."""
    text = fence.content.replace("\\\n", " ")
    for line in text.splitlines():
        prompt, _, typed = line.partition("$ ")
        if "$ " in fence.content and not (prompt == "" and typed):
            continue
        for part in (typed or line).split(" && "):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:
                continue  # an apostrophe in something printed
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words:
                yield words


def check_command(fence: Fence, command: list[str]) -> None:
    program, *words = command
    if program == "ferryman":
        operator = next((n for n, word in enumerate(words) if word[:1] in tuple("&|>;")), len(words))
        _parse(words[:operator])
    elif program == "make":
        targets = re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert words[0] in targets, f"{fence}: no target {words[0]}"
    elif (program, *words[:1]) == ("pip", "install"):
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        for extra in re.findall(r"ferryman\[([\w,]+)\]", " ".join(words)):
            for name in extra.split(","):
                assert re.search(rf"^{name} = \[", project, re.MULTILINE), f"{fence}: no extra {name}"
    else:
        assert (program, fence.content.split()[0]) in ((".", "make"), ("pytest", "pip")), (
            f"{fence}: nothing runs `{shlex.join(command)}`: run it, or give a reason in unrun.toml"
        )


def _parse(words: list[str]) -> None:
    context = click.Context(root, info_name="ferryman")
    if not words or words[0].startswith("-"):
        return
    name, command, rest = root.resolve_command(context, words)
    assert command
    lowered = [word.lower() if word.isupper() else word for word in rest]  # QUEUE stands for a name
    command.make_context(name, lowered, parent=context)


def test_a_page_with_a_snippet_that_fails_is_noticed(tmp_path: Path) -> None:
    """The tests above can fail: on an error, on other output, on a bad option, on a fence that nothing runs."""
    page = tmp_path / "page.md"
    page.write_text(
        "```python file=test_x.py\ndef test_x() -> None:\n    assert 1 == 2\n```\n"
        "```console run\n$ pytest -q\n1 passed\n```\n```python\nprint()\n```\n"
        "```yaml\napiVersion: ferryman.dev/v1alpha1\nkind: TaskQueue\nspec: {workers: 3}\n```\n"
        "```\nferryman enqueue emails --prioriti 5 send\n```\n```console run\n$ echo hello\ngoodbye\n```\n",
        encoding="utf-8",
    )
    test_x, passes, idle, queue, option, echo = fences(page, tmp_path)
    with pytest.raises(AssertionError, match="1 failed"):
        run([test_x, passes], tmp_path)
    with pytest.raises(AssertionError, match="give a reason in unrun"):
        test_a_snippet_is_checked_or_says_why_not(idle)
    with pytest.raises(jsonschema.ValidationError, match="workers"):
        test_a_snippet_is_checked_or_says_why_not(queue)
    with pytest.raises(click.UsageError, match="--prioriti"):
        test_a_snippet_is_checked_or_says_why_not(option)
    with pytest.raises(AssertionError, match="does not print 'goodbye'"):
        run([echo], tmp_path)
