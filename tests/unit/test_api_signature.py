"""Arguments: bound, encoded and checked at the caller; decoded in the worker; described by a JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel

from ferryman import Context, InvalidHandler, InvalidTask, PayloadTooLarge, Queue
from ferryman.json_schema import first_violation

if TYPE_CHECKING:
    from fractions import Fraction as OnlyForCheckers


@dataclass
class Person:
    name: str
    age: int = 0


class Money(BaseModel):
    cents: int


class Opaque:
    pass


queue = Queue("signatures")


@queue.task
async def send(ctx: Context[Opaque], to: str, subject: str = "hello", *, copies: int = 1) -> None: ...


@queue.task
def rich(
    who: Person, when: datetime, tags: set[str], price: Money, level: Annotated[int, msgspec.Meta(ge=1)]
) -> None: ...


@queue.task
def loose(value) -> None: ...  # type: ignore[no-untyped-def]


@queue.task(name="sub.later-1")
def later(thing: Defined) -> None: ...


@dataclass
class Defined:
    x: int


def args_of(item: Any) -> Any:
    return json.loads(item.task.args)


@pytest.mark.parametrize(
    ("make", "travels"),
    [
        (lambda: send.task("a@b"), {"to": "a@b"}),
        (lambda: send.task("a@b", "hi"), {"to": "a@b", "subject": "hi"}),
        (lambda: send.task("a@b", subject="hi", copies=2), {"to": "a@b", "subject": "hi", "copies": 2}),
        (lambda: send.task(to="ä\u2028🙂"), {"to": "ä\u2028🙂"}),
        (lambda: loose.task({"any": [1, None, {"json": 1.5}]}), {"value": {"any": [1, None, {"json": 1.5}]}}),
    ],
)
def test_arguments_travel_by_name_and_defaults_stay_behind(make: Callable[[], Any], travels: Any) -> None:
    assert args_of(make()) == travels


#: Calls that checkers would refuse.
unchecked: Any = send


@pytest.mark.parametrize(
    ("make", "field", "says"),
    [
        (lambda: unchecked.task(), "to", "missing"),
        (lambda: unchecked.task(3), "to", "Expected `str`, got `int`"),
        (lambda: unchecked.task("a", copies="2"), "copies", "Expected `int`, got `str`"),
        (lambda: unchecked.task("a", "b", 3), "args", "takes 2 positional arguments, 3 given"),
        (lambda: unchecked.task("a", to="b"), "to", "twice"),
        (lambda: unchecked.task("a", bcc="b"), "bcc", "no such parameter"),
        (lambda: unchecked.task(Opaque()), "to", "no form in JSON"),
        (lambda: loose.task([Opaque()]), "value", "no form in JSON"),
        (lambda: loose.task({(1, 2): 3}), "value", "JSON"),
        (lambda: loose.task("\ud800"), "value", "JSON"),
        (lambda: loose.task("x" * (1 << 20)), "args", "1048588 bytes encoded, the limit is 1048576"),
    ],
)
def test_a_bad_call_fails_at_the_caller_and_names_the_parameter(make: Callable[[], Any], field: str, says: str) -> None:
    with pytest.raises(InvalidTask, match=says) as caught:
        make()
    assert caught.value.field == field
    if field not in ("args",):
        assert "task 'send'" in caught.value.message or "task 'loose'" in caught.value.message


def test_the_error_leads_into_nested_values() -> None:
    with pytest.raises(InvalidTask, match=r"Expected `int`, got `str` \(at who.age\)") as caught:
        rich.task({"name": "Ann", "age": "old"}, datetime.now(UTC), set(), Money(cents=1), 1)  # type: ignore[arg-type]
    assert caught.value.field == "who"
    with pytest.raises(InvalidTask, match=">= 1") as caught:
        rich.task(Person("Ann"), datetime.now(UTC), set(), Money(cents=1), 0)
    assert caught.value.field == "level"


def test_too_large_carries_the_sizes() -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        loose.task("x" * (1 << 20))
    assert (caught.value.size, caught.value.limit) == ((1 << 20) + 12, 1 << 20)


def test_the_worker_gets_the_types_back_and_only_what_was_given() -> None:
    when = datetime(2030, 1, 1, tzinfo=UTC)
    args = rich.task(Person("Ann", 3), when, {"x"}, Money(cents=5), 2).task.args
    assert rich.decode_args(args) == {
        "who": Person("Ann", 3), "when": when, "tags": {"x"}, "price": Money(cents=5), "level": 2
    }  # fmt: skip
    assert send.decode_args(b'{"to": "a"}') == {"to": "a"}
    assert later.decode_args(b'{"thing": {"x": 1}}') == {"thing": Defined(1)}


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (b"{}", "to"),
        (b'{"to": 1}', "to"),
        (b'{"to": "a", "new": 1}', "new"),
        (b"[]", "args"),
        (b"{", "args"),
        (b'{"to":"\xff"}', "args"),
        (b"[" * 100_000, "args"),
    ],
)
def test_what_a_worker_cannot_decode_is_an_invalid_task(args: bytes, field: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        send.decode_args(args)
    assert caught.value.field == field


def test_the_schema_describes_the_object_and_other_producers_can_check_with_it() -> None:
    assert send.schema() == {
        "title": "send",
        "type": "object",
        "properties": {
            "to": {"type": "string"},
            "subject": {"type": "string", "default": "hello"},
            "copies": {"type": "integer", "default": 1},
        },
        "required": ["to"],
        "additionalProperties": False,
    }
    good = {"who": {"name": "Ann"}, "when": "2030-01-01T00:00:00Z", "tags": ["x"], "price": {"cents": 1}, "level": 1}
    assert first_violation(rich.schema(), good) is None
    violation = first_violation(rich.schema(), {**good, "who": {"name": 3}})
    assert violation is not None
    assert violation.path == ("who", "name")
    assert later.schema()["properties"]["thing"]["$ref"].removeprefix("#/$defs/") in later.schema()["$defs"]


def positional_only(a: int, /) -> None: ...
def any_number(*a: int) -> None: ...
def any_names(**a: int) -> None: ...
def context_second(a: int, ctx: Context[int]) -> None: ...
def generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (positional_only, "'a' is positional-only"),
        (any_number, "'a' takes any number"),
        (any_names, "'a' takes any names"),
        (context_second, "'ctx': a Context comes first"),
        (generator, "generator"),
    ],
)
def test_a_function_that_no_json_object_can_call_is_refused_where_it_is_decorated(function: Any, says: str) -> None:
    with pytest.raises(InvalidHandler, match=says):
        Queue("refused").task(function)


def under_type_checking(a: OnlyForCheckers) -> None: ...
def misspelt(a: Strign) -> None: ...  # type: ignore[name-defined] # noqa: F821
def opaque_inside(a: list[Opaque]) -> None: ...
def ambiguous(a: list[int] | list[str]) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (under_type_checking, "annotation 'OnlyForCheckers' of parameter 'a' can't be resolved"),
        (misspelt, "annotation 'Strign' of parameter 'a' can't be resolved"),
        (opaque_inside, "parameter 'a' can't travel as JSON: type 'Opaque'"),
        (ambiguous, "parameter 'a' can't travel as JSON: .*more than one array-like"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_named_at_first_use(function: Any, says: str) -> None:
    handler = Queue("refused").task(function)
    for use in (lambda: handler.task([]), handler.schema, lambda: handler.queue.manifest("app")):
        with pytest.raises(InvalidHandler, match=says):
            use()


Alias = Context[int]


def with_unknown_deps(ctx: Context[OnlyForCheckers], a: int) -> None: ...
def with_alias(ctx: Alias, a: int) -> None: ...
def without(a: int) -> None: ...


@pytest.mark.parametrize(("function", "wants"), [(with_unknown_deps, True), (with_alias, True), (without, False)])
def test_a_context_is_found_by_its_annotation(function: Any, wants: bool) -> None:
    handler = Queue("contexts").task(function)
    assert handler.wants_context is wants
    assert args_of(handler.task(1)) == {"a": 1}
