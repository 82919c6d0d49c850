"""Results: what a handler returns, as JSON between its worker and whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec

from ferryman.arguments import decode_foreign, encode_json
from ferryman.errors import FerrymanError
from ferryman.signature import InvalidHandler, Signature
from ferryman.task import MAX_RESULT_BYTES


class UnkeepableResult(FerrymanError):
    """What a handler returned can't be kept: it has no form in JSON, or is too large. Its task has completed."""


class Results:
    """Of one handler; or, without a signature, of one that lives elsewhere."""

    def __init__(self, signature: Signature | None) -> None:
        self._signature = signature

    @cached_property
    def _decode(self) -> Callable[[bytes], Any]:
        kind = Any if self._signature is None else self._signature.returns
        try:
            return msgspec.json.Decoder(kind, dec_hook=decode_foreign).decode
        except TypeError as error:
            assert self._signature is not None
            raise InvalidHandler(self._signature.task, f"its result can't be read from JSON: {error}") from error

    def decode(self, result: bytes) -> Any:
        """The result, in the type of the annotation. Raises ValueError when it does not fit, InvalidHandler when the
        annotation is no type that JSON can be read into."""
        return self._decode(result)


def encode_result(value: object) -> bytes:
    """A result as JSON. Raises UnkeepableResult."""
    try:
        encoded: bytes = encode_json(value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise UnkeepableResult(f"what it returned has no form in JSON: {error}") from error
    if len(encoded) > MAX_RESULT_BYTES:
        raise UnkeepableResult(
            f"its result is {len(encoded)} bytes encoded, the limit is {MAX_RESULT_BYTES}: "
            "store the data elsewhere and return a reference"
        )
    return encoded
