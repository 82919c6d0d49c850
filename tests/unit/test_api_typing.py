"""What users write, as checkers see it: tests/typing says which lines must be errors, and the messages must help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: basedpyright is pyright with its Node in the wheel, so it needs no download.
CHECKERS = {"mypy": ("mypy", "--strict"), "pyright": ("basedpyright", "--level", "error")}

WRONG = """
from ferryman import Queue

emails = Queue("emails")

@emails.task
async def send(to: str, copies: int = 1) -> None: ...

async def produce() -> None:
    await send.enqueue("a@example.com", copies="two")
"""


def check(checker: str, *paths: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *CHECKERS[checker], *paths]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("checker", CHECKERS)
def test_checkers_see_the_signatures_of_producers_and_of_tests(checker: str) -> None:
    checked = check(checker, *(path.as_posix() for path in sorted((ROOT / "tests/typing").glob("*.py"))))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("checker", "message"),
    [
        ("mypy", 'Argument "copies" to "enqueue" of "Sender" has incompatible type "str"; expected "int"'),
        ("pyright", 'Argument of type "Literal[\'two\']" cannot be assigned to parameter "copies" of type "int"'),
    ],
)
def test_a_wrong_argument_is_named_with_what_it_should_be(checker: str, message: str, tmp_path: Path) -> None:
    user_code = tmp_path / "wrong.py"
    user_code.write_text(WRONG, encoding="utf-8")
    checked = check(checker, str(user_code))
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert message in checked.stdout
    assert "1 error" in checked.stdout
