"""Digests: from lean modules or from hashlib, they are the same."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from ferryman.digests import sha1_of, sha256_of

_WORDS = [b"", b"x", "größer".encode(), b"\x00" * 10_000]


@pytest.mark.parametrize("data", _WORDS, ids=len)
def test_they_are_what_hashlib_says(data: bytes) -> None:
    assert sha1_of(data) == hashlib.sha1(data, usedforsecurity=False).hexdigest()
    assert sha256_of(data) == hashlib.sha256(data).hexdigest()


def test_a_python_without_the_lean_modules_has_hashlib() -> None:
    program = """
import sys
sys.modules["_sha1"] = sys.modules["_sha2"] = sys.modules["_sha256"] = None  # as if it was built without them
from ferryman.digests import sha1_of, sha256_of
print("hashlib" in sys.modules, sha1_of(b"x"), sha256_of(b"x"))
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert (
        printed == f"True {hashlib.sha1(b'x', usedforsecurity=False).hexdigest()} {hashlib.sha256(b'x').hexdigest()}\n"
    )
