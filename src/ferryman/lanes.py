"""Lanes: which lane of its queue a task stands in, from what its enqueue or its handler's decorator says.

A lane is a key: a tenant, an account, a customer. What a lane may do at once and per time is said once for the queue,
see `ferryman.limits`; lanes take turns in any case.
"""

from __future__ import annotations

import inspect
import re
import string
from collections.abc import Callable, Mapping
from typing import Any, Final

from ferryman.errors import InvalidTask

#: A template over the arguments such as "tenant-{tenant}", or a function of them.
LaneSpec = str | Callable[..., str]

#: The name of the lane that all tasks of a queue with a rate pass: nobody else's.
LINE: Final = "*"

_LANE = re.compile(r"[\x21-\x7e]{1,200}")


def check_lane(lane: object) -> str:
    """Return `lane`, or raise InvalidTask."""
    if not isinstance(lane, str) or not _LANE.fullmatch(lane) or lane == LINE:
        shown = repr(lane)[:60]
        raise InvalidTask("lane", f"{shown} is not 1 to 200 printable ASCII characters without spaces, other than '*'")
    return lane


def lane_of(spec: LaneSpec, parameters: Mapping[str, inspect.Parameter], task: str) -> Callable[[dict[str, Any]], str]:
    """What gives a task's lane from its arguments by name. Raises InvalidTask when `spec` can't do so."""
    defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    if callable(spec):
        return _by_function(spec, parameters, defaults, task)
    if not isinstance(spec, str):
        raise InvalidTask("lane", f"task {task!r}: {spec!r} is neither a template such as '{{tenant}}' nor a function")
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(spec) if field is not None]
    except ValueError as error:
        raise InvalidTask("lane", f"task {task!r}: {spec!r} is no template: {error}") from None
    for field in fields:
        name = re.split(r"[.\[]", field, maxsplit=1)[0]
        if name not in parameters:
            known = ", ".join(parameters) or "it has none"
            raise InvalidTask("lane", f"task {task!r}: {spec!r} names no parameter of it ({known})")

    def fill(arguments: dict[str, Any]) -> str:
        try:
            return check_lane(spec.format(**{**defaults, **arguments}))
        except (LookupError, AttributeError, ValueError) as error:
            raise InvalidTask("lane", f"task {task!r}: {spec!r} can't be filled in: {error!r}") from error

    return fill


def _by_function(
    spec: Callable[..., str], parameters: Mapping[str, inspect.Parameter], defaults: dict[str, Any], task: str
) -> Callable[[dict[str, Any]], str]:
    wanted = inspect.signature(spec).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in wanted.values())
    names = [name for name, p in wanted.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if unknown := [
        name for name in names if name not in parameters and wanted[name].default is inspect.Parameter.empty
    ]:
        raise InvalidTask("lane", f"task {task!r}: the function asks for {unknown[0]!r}, which is no parameter of it")

    def call(arguments: dict[str, Any]) -> str:
        given = {**defaults, **arguments}
        chosen = given if takes_all else {name: given[name] for name in names if name in given}
        try:
            lane = spec(**chosen)
        except Exception as error:
            raise InvalidTask("lane", f"task {task!r}: the function failed: {error!r}") from error
        return check_lane(lane)

    return call
