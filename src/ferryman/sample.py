"""Makes up arguments that fit a task's JSON Schema, for examples people can paste and for demo keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryman.json_schema import Schema, first_violation

_BY_TYPE: Mapping[str, Any] = {
    "string": "hello",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "null": None,
    "array": [],
    "object": {},
}


def sample_args(schema: Schema) -> dict[str, Any] | None:
    """The required arguments with simple values, or None when no simple value fits (a pattern, a minimum)."""
    definitions = schema.get("$defs", {})
    value = _value(schema, definitions, depth=0)
    if not isinstance(value, dict) or first_violation(schema, value):
        return None
    return value


def _value(schema: Any, definitions: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > 5:
        return _BY_TYPE["string"]
    if "$ref" in schema:
        return _value(definitions.get(schema["$ref"].removeprefix("#/$defs/")), definitions, depth + 1)
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _value(schema["anyOf"][0], definitions, depth + 1)
    if "minimum" in schema:
        return schema["minimum"]
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        return {name: _value(properties.get(name), definitions, depth + 1) for name in schema.get("required", ())}
    return _BY_TYPE.get(schema.get("type", "string"))
