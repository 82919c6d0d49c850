"""Overlay: lays a user's partial pod template over the generated one, as a strategic merge would.

Objects merge field by field, and lists of named things merge by name; any other list replaces. `null` removes, and so
does `$patch: delete` in an item of a named list; `$patch: replace` takes an object or a list as it is.

It is kinder than Kubernetes' own merge in one thing: of fields that exclude each other, such as the `httpGet` and the
`exec` of a probe, the user's one replaces the generated one, instead of standing beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

#: Lists whose items are told apart by fields; other lists are taken as they are.
_KEYS: Final = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "resourceClaims": ("name",),
    "ports": ("containerPort", "protocol"),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}

#: What a key means that is left out.
_DEFAULTS: Final = {"protocol": "TCP"}

#: Fields of which an object has one: naming one of them takes the others away.
_ONE_OF: Final = (
    frozenset({"exec", "grpc", "httpGet", "tcpSocket"}),  # probes and hooks
    frozenset({"value", "valueFrom"}),  # variables
)

#: A volume has one source beside its name.
_VOLUMES: Final = "volumes"

_DIRECTIVE: Final = "$patch"


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `patch` over it; neither is changed."""
    if patch.get(_DIRECTIVE) == "replace":
        return {field: value for field, value in patch.items() if field != _DIRECTIVE}
    others = {field for group in _ONE_OF if group & patch.keys() for field in group - patch.keys()}
    result = {field: value for field, value in base.items() if field not in others}
    for field, value in patch.items():
        if value is None:
            result.pop(field, None)
        elif isinstance(value, Mapping):
            known = result.get(field)
            result[field] = merged(known if isinstance(known, Mapping) else {}, value)
        elif field in _KEYS and isinstance(value, list | tuple):
            known = result.get(field)
            result[field] = _merged_list(known if isinstance(known, list | tuple) else (), value, field)
        else:
            result[field] = value
    return result


def _merged_list(base: Sequence[Any], patch: Sequence[Any], field: str) -> list[Any]:
    if any(isinstance(item, Mapping) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [item for item in patch if not (isinstance(item, Mapping) and _DIRECTIVE in item)]
    items: dict[Any, Any] = {_key(item, field, index): item for index, item in enumerate(base)}
    for index, item in enumerate(patch, start=len(base)):
        key = _key(item, field, index)
        if isinstance(item, Mapping) and item.get(_DIRECTIVE) == "delete":
            items.pop(key, None)
        elif key in items and not (field == _VOLUMES and _other_source(items[key], item)):
            items[key] = merged(items[key], item)
        else:
            items[key] = merged({}, item) if isinstance(item, Mapping) else item
    return list(items.values())


def _key(item: Any, field: str, index: int) -> Any:
    """What tells an item apart. One without its key is nobody's equal: the API server will say what is wrong."""
    if not isinstance(item, Mapping) or item.get(_KEYS[field][0]) is None:
        return index
    return tuple(str(item.get(name, _DEFAULTS.get(name))) for name in _KEYS[field])


def _other_source(base: Mapping[str, Any], patch: Mapping[str, Any]) -> bool:
    return bool(patch.keys() - {"name"}) and not patch.keys() - {"name"} <= base.keys()
