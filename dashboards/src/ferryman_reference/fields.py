"""The fields of a TaskQueue and a TaskSchedule, from the CRDs' schemas."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MANIFESTS = Path(__file__).parents[3] / "manifests"

#: By what a field's path begins with: its CRD, and the part of it. `spec` and `status` alone are those of a TaskQueue.
PARTS = {
    "spec": ("crd.yaml", "spec"),
    "status": ("crd.yaml", "status"),
    "taskschedule.spec": ("crd-taskschedule.yaml", "spec"),
    "taskschedule.status": ("crd-taskschedule.yaml", "status"),
}

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """`path` is as in `kubectl explain`; `type` in the words of a person; `default` as it is written, or ""."""

    path: str
    type: str
    default: str
    required: bool
    description: str


def fields(part: str) -> list[Field]:
    """All fields of one of PARTS, depth first, in the order of the CRD."""
    file, below = PARTS[part]
    [version] = yaml.safe_load((MANIFESTS / file).read_text(encoding="utf-8"))["spec"]["versions"]
    return list(_below(version["schema"]["openAPIV3Schema"]["properties"][below], part))


def _below(schema: Schema, path: str) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        at = f"{path}.{name}"
        yield Field(at, _type(field), _default(field), name in required, field["description"])
        yield from _below(field, at)
        if "items" in field:
            yield from _below(field["items"], f"{at}[]")


def _type(field: Schema) -> str:
    if field.get("enum"):
        return " or ".join(f"`{word}`" for word in field["enum"])
    if field.get("format") == "duration":
        return "duration"
    if field.get("format") == "date-time":
        return "time"
    if field["type"] == "array":
        return "list"
    bounds = [f"{word} {field[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in field]
    return " ".join(["whole number" if field["type"] == "integer" else field["type"], *bounds])


def _default(field: Schema) -> str:
    if "default" not in field or field["default"] == {}:
        return ""
    default = field["default"]
    return str(default).lower() if isinstance(default, bool) else str(default)
