"""Refusals: turns what the API server says about a missing permission into what is to be done. Pure."""

from __future__ import annotations

import re
from typing import Final

_DENIED: Final = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)"| at the cluster scope)?'
)


def sentence(message: str) -> str:
    """Names the missing verb and resource. What is no question of rights (a quota, an admission policy) stays as is."""
    if not (found := _DENIED.search(message)):
        return message
    verb, resource, group, namespace = found.group("verb", "resource", "group", "namespace")
    name, _, sub = resource.partition("/")
    what = (f"{name}.{group}" if group else name) + (f"/{sub}" if sub else "")
    where = f"in namespace {namespace}" if namespace else "in the whole cluster"
    return f"cannot {verb} {what} {where}: grant the verb {verb} on {what} to {found['user']}"
