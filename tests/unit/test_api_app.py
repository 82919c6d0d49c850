"""--app: from what a person writes to the queues it means."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from ferryman import AppImportError
from ferryman.app import load_app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory of its own, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))


QUEUES = """
    from ferryman import Queue
    emails = Queue("emails")
    images = Queue("images")
    same = emails

    @emails.task
    def send(to: str) -> None: ...
    """


def test_a_dotted_module_gives_its_queues_by_name(folder: Path) -> None:
    write(folder / "acme_one/__init__.py", "")
    write(folder / "acme_one/tasks.py", QUEUES)
    queues = load_app("acme_one.tasks")
    assert sorted(queues) == ["emails", "images"]
    assert list(queues["emails"].handlers) == ["send"]


def test_a_file_gives_its_queues_and_sees_its_neighbours(folder: Path) -> None:
    write(folder / "sub/neighbour_two.py", QUEUES)
    write(folder / "sub/app_two.py", "from neighbour_two import emails")
    assert list(load_app("sub/app_two.py")) == ["emails"]
    assert list(load_app("sub/app_two.py")) == ["emails"]


def test_an_attribute_chooses_one_queue(folder: Path) -> None:
    write(folder / "app_three.py", QUEUES)
    assert list(load_app("app_three:images")) == ["images"]
    assert list(load_app("app_three.py:images")) == ["images"]
    with pytest.raises(AppImportError, match="'send' in app_three is no"):
        load_app("app_three:send")


def test_the_handlers_of_one_queue_may_lie_in_several_modules(folder: Path) -> None:
    write(folder / "queues_four.py", "from ferryman import Queue\nemails = Queue('emails')")
    for name in ("send", "bounce"):
        write(
            folder / f"{name}_four.py",
            f"""
            from queues_four import emails

            @emails.task
            def {name}(to: str) -> None: ...
            """,
        )
    queues = load_app("send_four, bounce_four.py")
    assert list(queues) == ["emails"]
    assert sorted(queues["emails"].handlers) == ["bounce", "send"]


@pytest.mark.parametrize(
    ("files", "app", "says"),
    [
        ({}, "nowhere_to_be_found", "there is no module 'nowhere_to_be_found'"),
        ({"p/__init__.py": ""}, "p.nowhere", "there is no module 'p.nowhere'"),
        ({}, "nowhere.py", "there is no such file"),
        (
            {"broken_a.py": "import not_installed_thing"},
            "broken_a",
            "imports 'not_installed_thing', which is not installed",
        ),
        ({"broken_b.py": "1 / 0"}, "broken_b.py", "raised ZeroDivisionError"),
        ({"broken_c.py": "def"}, "broken_c", "raised SyntaxError"),
        ({"empty_d.py": ""}, "empty_d", "defines no queue; write"),
        (
            {"twice_e.py": "from ferryman import Queue\na = Queue('q')\nb = Queue('q')"},
            "twice_e",
            "two queues are named 'q'",
        ),
        (
            {f"half_{name}.py": "from ferryman import Queue\nq = Queue('q')" for name in "fg"},
            "half_f,half_g",
            "--app half_f,half_g: two queues are named 'q'",
        ),
        ({"half_h.py": QUEUES}, "half_h,nowhere_at_all", "--app nowhere_at_all: there is no module"),
        ({"json.py": QUEUES}, "json.py", "a module named 'json' is loaded already"),
        ({}, "", "module"),
    ],
)
def test_what_cannot_be_loaded_is_explained(folder: Path, files: dict[str, str], app: str, says: str) -> None:
    for name, text in files.items():
        write(folder / name, text)
    with pytest.raises(AppImportError, match=says):
        load_app(app)
