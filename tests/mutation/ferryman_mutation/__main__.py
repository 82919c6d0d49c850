"""Prints docs/contracts.md: each contract, how it is broken on purpose, and which tests notice."""

from __future__ import annotations

from ferryman_mutation.catalogue import Contract, Mutation, read

HEAD = """# Contracts

What every script and process keeps, and how each promise is proved. For every line of the tables the code is broken on
purpose, in a copy, and the tests named in it must fail: a contract whose breach no test notices is not tested.

`make test-mutation` runs them all; `make contracts` makes this page of `tests/mutation/ferryman_mutation/contracts/`.
"""


def page(contracts: tuple[Contract, ...]) -> str:
    """The whole page."""
    total = sum(len(contract.mutation) for contract in contracts)
    parts = [HEAD, f"{total} mutations of {len(contracts)} contracts.\n", *map(_section, contracts)]
    return "\n".join(parts)


def _section(contract: Contract) -> str:
    lines = [
        f"## {contract.number}. {contract.title}",
        "",
        " ".join(contract.promise.split()),
        "",
        "| broken on purpose | in | noticed by |",
        "|---|---|---|",
        *map(_row, contract.mutation),
    ]
    return "\n".join(lines) + "\n"


def _row(mutation: Mutation) -> str:
    tests = "<br>".join(f"`{test.removeprefix('tests/').replace('|', '&#124;')}`" for test in mutation.noticed_by)
    return f"| {mutation.breaks} | `{mutation.file}` | {tests} |"


if __name__ == "__main__":
    print(page(read()), end="")
