"""Headers: what travels with a task beside its arguments, as headers do with an HTTP request.

Trace context above all (`traceparent` and `tracestate` of W3C). They are set at the enqueue, stay the same through
retries, recoveries and revivals, and are handed to the handler's Context. A worker that is too old to know them runs
the task without.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ferryman.errors import InvalidTask

#: Names and values of one task's headers, all together.
MAX_HEADERS_BYTES: Final = 4096

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE = re.compile(r"[\x20-\x7e]*")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` with their names in lower case. Raises InvalidTask naming the one that can't travel."""
    checked: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name.lower()):
            raise InvalidTask("headers", f"{name!r} is no header name: letters, digits and '-' do")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InvalidTask("headers", f"the value of {name!r} is not a line of printable ASCII")
        checked[name.lower()] = value.strip()
    size = headers_bytes(checked)
    if size > MAX_HEADERS_BYTES:
        raise InvalidTask("headers", f"they hold {size} bytes, and {MAX_HEADERS_BYTES} may travel with a task")
    return checked


def headers_bytes(headers: Mapping[str, str]) -> int:
    """What counts against MAX_HEADERS_BYTES."""
    return sum(len(name) + len(value) for name, value in headers.items())


def trace_context(traceparent: str, tracestate: str = "") -> dict[str, str]:
    """The trace context of a request, as headers of a task. What is no trace context is left out, as W3C has it."""
    if not _TRACEPARENT.fullmatch(traceparent):
        return {}
    state = tracestate if tracestate and len(tracestate) <= 512 and _VALUE.fullmatch(tracestate) else ""
    return {"traceparent": traceparent, **({"tracestate": state} if state else {})}


def trace_id(headers: Mapping[str, str]) -> str | None:
    """The trace that these headers belong to: 32 hexadecimal digits."""
    found = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return found[1] if found else None
