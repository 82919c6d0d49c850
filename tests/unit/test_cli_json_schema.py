"""The argument check of producers without types: it agrees with the reference validator and names the place."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ferryman.json_schema import first_violation
from ferryman.sample import sample_args


class Item(msgspec.Struct):
    sku: str
    number: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    to: Annotated[str, msgspec.Meta(min_length=1, max_length=5, pattern="^[a-z]*$")]
    items: Annotated[list[Item], msgspec.Meta(max_length=2)]
    kind: Literal["a", "b"] | None = None
    pair: tuple[int, str] = (1, "a")
    weights: dict[str, float] = {}
    flag: bool = False


def _schema(kind: Any) -> dict[str, Any]:
    (root,), definitions = msgspec.json.schema_components([kind])
    return {**definitions[root["$ref"].removeprefix("#/$defs/")], "$defs": definitions} if "$ref" in root else root


SCHEMA = _schema(Arguments)

scalars = st.none() | st.booleans() | st.integers(-3, 12) | st.floats(-2, 2) | st.text("ab1", max_size=7)
items = st.fixed_dictionaries({}, optional={"sku": scalars, "number": scalars, "more": scalars})
arguments = st.fixed_dictionaries(
    {},
    optional={
        "to": scalars,
        "items": st.lists(items | scalars, max_size=3) | scalars,
        "kind": st.sampled_from(["a", "b", "c", None, 1]),
        "pair": st.lists(scalars, max_size=3) | scalars,
        "weights": st.dictionaries(st.sampled_from("xy"), scalars) | scalars,
        "flag": scalars,
        "too": scalars,
    },
)


@given(arguments)
def test_it_accepts_exactly_what_the_reference_validator_accepts(value: dict[str, Any]) -> None:
    assert (first_violation(SCHEMA, value) is None) == Draft202012Validator(SCHEMA).is_valid(value)


@pytest.mark.parametrize("kind", ["null", "boolean", "integer", "number", "string", "array", "object"])
@pytest.mark.parametrize("value", [None, True, 0, 1, 1.0, 1.5, "1", [], {}])
def test_kinds_of_values_are_those_of_json_and_not_of_python(kind: str, value: Any) -> None:
    for schema in ({"type": kind}, {"const": 1}, {"enum": [0, "1"]}):
        assert (first_violation(schema, value) is None) == Draft202012Validator(schema).is_valid(value), schema


@pytest.mark.parametrize(
    ("value", "where", "says"),
    [
        ({"to": 5, "items": []}, "to", "expected a string, got 5"),
        ({"items": []}, "to", "is missing"),
        ({"too": "a", "items": []}, "too", "is unknown; did you mean 'to'?"),
        ({"to": "a", "items": [{"sku": "x"}, {"sku": 7}]}, "items[1].sku", "expected a string, got 7"),
        ({"to": "a", "items": [{"sku": "x", "number": 11}]}, "items[0].number", "11 is more than 10"),
        ({"to": "a", "items": [], "kind": "c"}, "kind", "expected one of"),
        ({"to": "a", "items": [], "pair": [1]}, "pair", "has fewer than 2 items"),
        ({"to": "a", "items": [], "weights": {"x": True}}, "weights.x", "expected a number, got true"),
        ({"to": "toolong", "items": []}, "to", "is longer than 5 characters"),
        ({"to": "a", "items": None}, "items", "expected an array, got null"),
    ],
)
def test_a_violation_names_the_place_and_what_was_expected(value: dict[str, Any], where: str, says: str) -> None:
    violation = first_violation(SCHEMA, value)
    assert violation is not None
    assert violation.where == where
    assert says in violation.message


def test_of_several_choices_the_deepest_complaint_is_shown() -> None:
    schema = _schema(msgspec.defstruct("args", [("item", Item | None)]))
    violation = first_violation(schema, {"item": {"sku": 1}})
    assert violation is not None
    assert violation.where == "item.sku"


def test_a_value_nested_for_ever_is_refused_and_not_followed() -> None:
    schema = {"$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "$ref": "#/$defs/tree"}
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    assert first_violation(schema, value) is not None


def test_words_it_does_not_know_are_passed_over() -> None:
    assert (
        first_violation({"type": "object", "x-new": 1, "properties": {"a": {"$ref": "#/elsewhere"}}}, {"a": 1}) is None
    )


def test_sample_arguments_fit_and_are_only_the_required_ones() -> None:
    assert sample_args(_schema(msgspec.defstruct("args", [("value", int), ("more", str, "x")]))) == {"value": 1}
    assert sample_args(SCHEMA) == {"to": "hello", "items": []}


def test_no_sample_is_made_up_that_would_be_refused() -> None:
    schema = _schema(msgspec.defstruct("args", [("code", Annotated[str, msgspec.Meta(pattern="^[0-9]+$")])]))
    assert sample_args(schema) is None
