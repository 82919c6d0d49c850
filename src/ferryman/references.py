"""References: what stands in a call where the result of another task will be: `report.task(sent=send_node.result)`.

They never travel: a workflow's node takes along which results belong to which parameters (`binds`), and its worker puts
them there before the run. Redis decodes none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ferryman.errors import InvalidTask


class Reference(msgspec.Struct, frozen=True, eq=False):
    """The result of the node of that name; "" = of what comes before, in a chain, a join or a compensation."""

    node: str = ""


#: Stands for the result of what comes before: of the previous step of a chain, of the step that a compensation undoes;
#: after a group for the list of its results, in the order of the group.
previous: Final[Any] = Reference()

#: By parameter: the reference, or a list of them.
References = Mapping[str, Reference | list[Reference]]


NO_REFERENCES: Final[References] = MappingProxyType({})


def references_in(task: str, arguments: Mapping[str, object]) -> References:
    """Those among the arguments of a call. Raises InvalidTask for one that is hidden inside another value."""
    found: dict[str, Reference | list[Reference]] = {}
    for name, value in arguments.items():
        if isinstance(value, Reference):
            found[name] = value
        elif isinstance(value, (list, tuple)) and any(isinstance(one, Reference) for one in value):
            listed = [one for one in value if isinstance(one, Reference)]
            if len(listed) != len(value):
                raise InvalidTask(name, f"task {task!r}: a list is either of results, or has none in it")
            found[name] = listed
    return found
