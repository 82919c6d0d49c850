"""Digests: SHA-1, by which Redis knows scripts, and SHA-256, by which manifests and schedules are told apart.

From the modules that hashlib itself falls back on, as the standard library's random does: hashlib loads OpenSSL, which
a beat child, a command and a producer without TLS do without. It would be 3 MiB and a fiftieth of a worker's start.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final


def sha1_of(data: bytes) -> str:
    """In hexadecimal digits."""
    digest: str = _sha1(data, usedforsecurity=False).hexdigest()
    return digest


def sha256_of(data: bytes) -> str:
    """In hexadecimal digits."""
    digest: str = _sha256(data, usedforsecurity=False).hexdigest()
    return digest


def _first(name: str, *modules: str) -> Any:
    """`name` from the first of these modules that is there; a Python may have been built without the lean ones."""
    for module in modules:
        try:
            return getattr(import_module(module), name)
        except ImportError:
            continue
    return getattr(import_module("hashlib"), name)


_sha1: Final = _first("sha1", "_sha1")
_sha256: Final = _first("sha256", "_sha2", "_sha256")  # of Python 3.12 and later, and of 3.11
