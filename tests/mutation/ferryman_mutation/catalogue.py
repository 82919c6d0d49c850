"""The catalogue: each contract, and the ways in which it is broken on purpose. Data, in contracts/*.toml.

A mutation is one exact text of one file and what stands there instead. The text must occur exactly once, so that a
mutation never silently stops to break anything when the code moves on.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

ROOT = Path(__file__).parents[3]
CONTRACTS = Path(__file__).parent / "contracts"

#: Where each package lies under the repository, and the name under which an overlay has it.
PACKAGES = {
    "src/ferryman": "ferryman",
    "worker/src/ferryman_worker": "ferryman_worker",
    "scheduler/src/ferryman_scheduler": "ferryman_scheduler",
    "operator/src/ferryman_operator": "ferryman_operator",
}

Words = Annotated[str, msgspec.Meta(min_length=1)]


class Stale(Exception):
    """The text that a mutation replaces is gone from the code, or occurs more than once."""


class Mutation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to break a contract.

    `breaks` says what is broken, `noticed_by` which tests must fail then, every one of them. `patience_s` is how
    long such a test waits for one thing: one that waits in vain has noticed as well.
    """

    name: Words
    file: Words
    old: Words
    new: str
    breaks: Words
    noticed_by: Annotated[tuple[Words, ...], msgspec.Meta(min_length=1)]
    patience_s: float = 10.0

    def apply(self, text: str) -> str:
        """The broken text. Raises Stale."""
        found = text.count(self.old)
        if found != 1:
            raise Stale(
                f"{self.name}: {self.file} has {found} times, not once:\n{self.old}\nThe mutation must follow it."
            )
        return text.replace(self.old, self.new)


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every script and process keeps."""

    number: int
    title: Words
    promise: Words
    mutation: tuple[Mutation, ...]


def read() -> tuple[Contract, ...]:
    """All contracts by their number. Raises msgspec.ValidationError, which names the field that is wrong."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(CONTRACTS.glob("*.toml"))]
    contracts = [msgspec.convert(tomllib.loads(text), Contract) for text in texts]
    return tuple(sorted(contracts, key=lambda contract: contract.number))
