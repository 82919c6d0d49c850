"""Overlay: lays a user's partial pod template over the generated one, as a strategic merge would.

Objects merge field by field, and lists of named things merge by name; any other list replaces. `null` removes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Lists whose items are told apart by a field; other lists are taken as they are.
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "topologySpreadConstraints": "topologyKey",
}


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `patch` over it; neither is changed."""
    result = dict(base)
    for field, value in patch.items():
        if value is None:
            result.pop(field, None)
        elif isinstance(value, Mapping) and isinstance(result.get(field), Mapping):
            result[field] = merged(result[field], value)
        elif field in _KEYS and isinstance(value, Sequence) and isinstance(result.get(field), Sequence):
            result[field] = _merged_list(result[field], value, _KEYS[field])
        else:
            result[field] = value
    return result


def _merged_list(base: Sequence[Any], patch: Sequence[Any], key: str) -> list[Any]:
    items = {item.get(key): item for item in base}
    for item in patch:
        name = item.get(key) if isinstance(item, Mapping) else None
        items[name] = merged(items[name], item) if name in items else item
    return list(items.values())
