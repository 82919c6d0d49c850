"""docs/operator.md: every field as the CRD describes it, every condition, every reason, every annotation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from ferryman_operator.autoscaler import Reason
from ferryman_operator.conditions import Findings, conditions
from ferryman_operator.pause import ANNOTATIONS
from ferryman_reference import PAGE, written
from ferryman_reference.fields import PARTS, fields

ROOT = Path(__file__).parents[2]
TEXT = PAGE.read_text(encoding="utf-8")

#: Where the reason stands in the arguments of what makes a condition, an obstacle or an event.
_REASON_AT = {"condition": 3, "Unmeasured": 0, "NoEndpoint": 0, "Told": 1, "Durability": 1}


def reasons() -> Iterator[str]:
    """Every reason that the code writes out."""
    yield from (*(reason.value for reason in Reason), "ApplyFailed")
    modules = [*(ROOT / "operator/src/ferryman_operator").glob("*.py"), ROOT / "src/ferryman/durability.py"]
    for path in modules:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _REASON_AT:
                for argument in call.args[_REASON_AT[call.func.id] :][:1]:
                    yield from _words(argument, named)


def _words(argument: ast.expr, named: Mapping[str, object]) -> Iterator[str]:
    """The constants that an argument can be; one that is computed elsewhere is found there."""
    if isinstance(argument, ast.IfExp):
        yield from _words(argument.body, named)
        yield from _words(argument.orelse, named)
    elif isinstance(argument, ast.Constant):
        yield str(argument.value)
    elif isinstance(argument, ast.Name):
        yield str(named.get(argument.id))


REASONS = sorted({word for word in reasons() if re.fullmatch(r"[A-Z][A-Za-z]+", word)})


def test_the_tables_are_what_the_crd_says() -> None:
    assert written(TEXT) == TEXT, "run: make docs"


def test_a_page_without_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="must have the lines <!-- spec"):
        written("no marks")


def test_the_tables_have_every_field() -> None:
    paths = [field.path for part in PARTS for field in fields(part)]
    assert len(paths) > 90
    assert [path for path in paths if TEXT.count(f"| `{path}` |") != 1] == []


@pytest.mark.parametrize("condition", [one["type"] for one in conditions(Findings(generation=1))])
def test_every_condition_has_a_section(condition: str) -> None:
    assert f"\n### {condition}\n" in TEXT


def test_the_reasons_are_found() -> None:
    assert {"Ready", "QueueClaimed", "Timeout", "SecretNotFound", "AppendOnly", "ScaledUp", "Purged"} <= set(REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_explained(reason: str) -> None:
    assert f"| `{reason}`" in TEXT


def schedule_troubles() -> set[str]:
    """Reasons that schedules.py pairs with a sentence."""
    tree = ast.parse((ROOT / "operator/src/ferryman_operator/schedules.py").read_text(encoding="utf-8"))
    pairs = [node.elts[0] for node in ast.walk(tree) if isinstance(node, ast.Tuple) and len(node.elts) == 2]
    words = [first.value for first in pairs if isinstance(first, ast.Constant)]
    return {word for word in words if isinstance(word, str) and re.fullmatch(r"[A-Z][A-Za-z]+", word)}


def test_every_reason_of_a_schedule_is_explained_in_its_section() -> None:
    section = TEXT.partition("\n### Ready of a TaskSchedule\n")[2].partition("\n### ")[0]
    told = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert {"QueueNotFound", "QueueNotReady", "SchedulerNotReady"} <= schedule_troubles()
    assert told == schedule_troubles() | {"Scheduled", "Suspended", "InvalidSpec"}


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_every_annotation_is_explained(annotation: str) -> None:
    assert f"`{annotation}" in TEXT
