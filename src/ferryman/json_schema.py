"""Checks a JSON value against the JSON Schema that a worker published for a task's arguments.

A producer over HTTP or on the command line has no Python types to check with, only the schema from the queue's
manifest. The words that msgspec writes are understood; an unknown word is passed over, because the worker
checks again with the real types. So a good call is never refused here, and a bad one is named early.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]
Rule = Callable[["_Checker", Any, Any, Path, Schema], Iterator["Violation"]]

_MAX_DEPTH: Final = 200


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong. `path` leads to it: names of properties and positions in arrays."""

    path: Path
    message: str

    @property
    def where(self) -> str:
        """The path as people write it: `items[2].sku`."""
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return "".join(steps).removeprefix(".")


def first_violation(schema: Schema, value: Any) -> Violation | None:
    """The first thing about `value` that `schema` does not allow, or None when it fits."""
    return next(_Checker(schema).violations(schema, value, ()), None)


class _Checker:
    def __init__(self, root: Schema) -> None:
        self._definitions: Mapping[str, Any] = root.get("$defs", {})

    def violations(self, schema: Any, value: Any, path: Path) -> Iterator[Violation]:
        if schema is False:
            yield Violation(path, "is not allowed here")
        if not isinstance(schema, Mapping):
            return
        if len(path) > _MAX_DEPTH:
            yield Violation(path[:3], f"is nested more than {_MAX_DEPTH} levels deep")
            return
        for word, rule in _RULES.items():
            if word in schema:
                yield from rule(self, schema[word], value, path, schema)

    def fits(self, schema: Any, value: Any, path: Path) -> bool:
        return next(self.violations(schema, value, path), None) is None

    def definition(self, reference: str) -> Any:
        return self._definitions.get(reference.removeprefix("#/$defs/"), True)


def _reference(check: _Checker, expected: Any, value: Any, path: Path, _: Schema) -> Iterator[Violation]:
    yield from check.violations(check.definition(expected), value, path)


def _type(_: _Checker, expected: Any, value: Any, path: Path, __: Schema) -> Iterator[Violation]:
    names = [expected] if isinstance(expected, str) else list(expected)
    if not any(_is(value, name) for name in names):
        yield Violation(path, f"expected {_either(names)}, got {_shown(value)}")


def _enum(_: _Checker, expected: Any, value: Any, path: Path, __: Schema) -> Iterator[Violation]:
    if not any(_same(value, member) for member in expected):
        yield Violation(path, f"expected one of {', '.join(map(_shown, expected))}, got {_shown(value)}")


def _const(_: _Checker, expected: Any, value: Any, path: Path, __: Schema) -> Iterator[Violation]:
    if not _same(value, expected):
        yield Violation(path, f"expected {_shown(expected)}, got {_shown(value)}")


def _any_of(check: _Checker, expected: Any, value: Any, path: Path, _: Schema) -> Iterator[Violation]:
    if any(check.fits(choice, value, path) for choice in expected):
        return
    # Of several choices the one that goes deepest is the one that was meant; its complaint helps most.
    complaints = [next(check.violations(choice, value, path)) for choice in expected]
    deepest = max(complaints, key=lambda complaint: len(complaint.path))
    if len(deepest.path) > len(path):
        yield deepest
    else:
        wanted = " or ".join(words for choice in expected if (words := _wanted(check, choice)))
        yield Violation(path, f"expected {wanted}, got {_shown(value)}" if wanted else deepest.message)


def _properties(check: _Checker, expected: Any, value: Any, path: Path, _: Schema) -> Iterator[Violation]:
    if isinstance(value, Mapping):
        for name, schema in expected.items():
            if name in value:
                yield from check.violations(schema, value[name], (*path, name))


def _required(_: _Checker, expected: Any, value: Any, path: Path, __: Schema) -> Iterator[Violation]:
    if isinstance(value, Mapping):
        for name in expected:
            if name not in value:
                yield Violation((*path, name), "is missing")


def _additional(check: _Checker, expected: Any, value: Any, path: Path, schema: Schema) -> Iterator[Violation]:
    if not isinstance(value, Mapping):
        return
    known = schema.get("properties", {})
    for name in value:
        if name in known:
            continue
        if expected is False:
            nearest = get_close_matches(str(name), known, n=1)
            yield Violation((*path, name), "is unknown" + (f"; did you mean {nearest[0]!r}?" if nearest else ""))
        else:
            yield from check.violations(expected, value[name], (*path, name))


def _items(check: _Checker, expected: Any, value: Any, path: Path, schema: Schema) -> Iterator[Violation]:
    if isinstance(value, list):
        for index in range(len(schema.get("prefixItems", ())), len(value)):
            yield from check.violations(expected, value[index], (*path, index))


def _prefix_items(check: _Checker, expected: Any, value: Any, path: Path, _: Schema) -> Iterator[Violation]:
    if isinstance(value, list):
        for index, (schema, item) in enumerate(zip(expected, value, strict=False)):
            yield from check.violations(schema, item, (*path, index))


def _pattern(_: _Checker, expected: Any, value: Any, path: Path, __: Schema) -> Iterator[Violation]:
    if isinstance(value, str) and not re.search(expected, value):
        yield Violation(path, f"{_shown(value)} does not match {expected!r}")


def _bound(applies: type | tuple[type, ...], holds: Callable[[Any, Any], bool], words: str) -> Rule:
    def rule(_: _Checker, expected: Any, value: Any, path: Path, __: Schema) -> Iterator[Violation]:
        if isinstance(value, applies) and not isinstance(value, bool) and not holds(value, expected):
            yield Violation(path, f"{_shown(value)} {words.format(expected)}")

    return rule


#: In the order in which violations are reported.
_RULES: Final[Mapping[str, Rule]] = {
    "$ref": _reference,
    "type": _type,
    "enum": _enum,
    "const": _const,
    "anyOf": _any_of,
    # A mistyped name is both unknown and missing; "did you mean" helps more.
    "additionalProperties": _additional,
    "required": _required,
    "properties": _properties,
    "items": _items,
    "prefixItems": _prefix_items,
    "pattern": _pattern,
    "minimum": _bound((int, float), lambda value, limit: value >= limit, "is less than {}"),
    "maximum": _bound((int, float), lambda value, limit: value <= limit, "is more than {}"),
    "exclusiveMinimum": _bound((int, float), lambda value, limit: value > limit, "is not more than {}"),
    "exclusiveMaximum": _bound((int, float), lambda value, limit: value < limit, "is not less than {}"),
    "multipleOf": _bound(int, lambda value, step: value % step == 0, "is not a multiple of {}"),
    "minLength": _bound(str, lambda value, limit: len(value) >= limit, "is shorter than {} characters"),
    "maxLength": _bound(str, lambda value, limit: len(value) <= limit, "is longer than {} characters"),
    "minItems": _bound(list, lambda value, limit: len(value) >= limit, "has fewer than {} items"),
    "maxItems": _bound(list, lambda value, limit: len(value) <= limit, "has more than {} items"),
}


def _is(value: Any, name: str) -> bool:
    match name:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                isinstance(value, float) and value.is_integer()
            )
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, Mapping)
    return True


def _same(value: Any, member: Any) -> bool:
    # True == 1 in Python, but not in JSON.
    return isinstance(value, bool) == isinstance(member, bool) and bool(value == member)


def _wanted(check: _Checker, choice: Any) -> str:
    if isinstance(choice, Mapping) and "$ref" in choice:
        choice = check.definition(choice["$ref"])
    match choice:
        case {"enum": members}:
            return f"one of {', '.join(map(_shown, members))}"
        case {"const": value}:
            return _shown(value)
        case {"type": str(name)}:
            return _either([name])
    return ""


def _either(names: list[str]) -> str:
    words = {"array": "an array", "object": "an object", "integer": "an integer", "null": "null"}
    return " or ".join(words.get(name, f"a {name}") for name in names)


def _shown(value: Any) -> str:
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return repr(value if len(value) <= 40 else value[:40] + "…")
        case int() | float():
            return str(value) if abs(value) < 10**20 else "a very large number"
        case list():
            return "an array"
    return "an object"
