"""Each contract is broken on purpose, in a copy of the code: the tests named for it must fail, and only then."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import cast

import pytest
from ferryman_mutation.__main__ import page
from ferryman_mutation.catalogue import ROOT, Mutation, Stale, read
from ferryman_mutation.laboratory import Laboratory
from ferryman_mutation.trial import ACCIDENT
from lupa.lua51 import LuaRuntime

CONTRACTS = read()
MUTATIONS = [mutation for contract in CONTRACTS for mutation in contract.mutation]
LUA = LuaRuntime()


@pytest.fixture(scope="session")
def laboratory(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_program: str
) -> Iterator[Laboratory]:
    """Trials of all selected mutations are on their way. Needs a Redis server, as many of their tests do."""
    selected = [
        item.callspec.params["mutation"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "laboratory" in item.fixturenames
    ]
    made = Laboratory(tmp_path_factory.mktemp("mutation"), cast(list[Mutation], selected))
    yield made
    made.close()


each_mutation = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)


@pytest.mark.timeout(900)
@each_mutation
def test_a_broken_contract_is_noticed(mutation: Mutation, laboratory: Laboratory) -> None:
    trial, sound = laboratory.of(mutation), laboratory.sound()
    named = set(mutation.noticed_by)

    assert named <= sound.passed, f"they fail on sound code as well, or are no tests:\n{sound.output}"
    assert trial.exit_code == 1, f"pytest ended with {trial.exit_code}, not with failed tests:\n{trial.output}"
    assert trial.failed.keys() == named, f"not noticed ({mutation.breaks}):\n{trial.output}"
    assert not trial.accidents, f"the broken program does not even work:\n{trial.output}"
    folder = {origin.parents[1].name for origin in trial.imported_from}
    assert folder == {mutation.name}, "every process has imported the broken copy, and nothing else"


@each_mutation
def test_a_mutation_changes_one_place_and_is_a_program(mutation: Mutation) -> None:
    broken = mutation.apply((ROOT / mutation.file).read_text(encoding="utf-8"))
    if mutation.file.endswith(".lua"):
        LUA.compile(broken)
    else:
        ast.parse(broken)


@each_mutation
def test_what_must_notice_a_mutation_is_a_test(mutation: Mutation) -> None:
    for test in mutation.noticed_by:
        file, name = test.split("[")[0].split("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), test


def test_every_contract_is_broken_in_at_least_three_ways() -> None:
    assert [contract.number for contract in CONTRACTS] == list(range(1, len(CONTRACTS) + 1))
    assert len(CONTRACTS) >= 14
    assert {contract.title: len(contract.mutation) for contract in CONTRACTS if len(contract.mutation) < 3} == {}


def test_no_two_mutations_have_one_name() -> None:
    names = Counter(mutation.name for mutation in MUTATIONS)
    assert [name for name, count in names.items() if count > 1] == []


def test_a_mutation_whose_text_is_gone_says_so() -> None:
    mutation = Mutation("m", "src/ferryman/keys.py", "needle", "", "nothing", ("a test",))
    with pytest.raises(Stale, match=r"keys\.py has 0 times"):
        mutation.apply("hay")
    with pytest.raises(Stale, match=r"keys\.py has 2 times"):
        mutation.apply("needle needle")


@pytest.mark.parametrize(
    ("why", "accident"),
    [
        ("AssertionError: assert [] == ['t']", False),
        ("ferryman.errors.BrokerRefused: Redis at x: WRONGTYPE Operation against a key", False),
        ("NameError: name 'x' is not defined", True),
        ("ferryman.errors.BrokerRefused: Redis: user_script:31: attempt to index a nil value", True),
    ],
)
def test_a_program_that_does_not_work_is_told_from_a_broken_contract(why: str, accident: bool) -> None:
    assert bool(ACCIDENT.match(why)) is accident


def test_the_page_of_contracts_is_generated() -> None:
    assert (ROOT / "docs/contracts.md").read_text(encoding="utf-8") == page(CONTRACTS), "run make contracts"
