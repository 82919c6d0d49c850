"""The laboratory itself: it must not take a broken program, a missing test or the wrong code for a noticed mutation."""

from __future__ import annotations

from pathlib import Path

import pytest
from ferryman_mutation import trial
from ferryman_mutation.catalogue import ROOT, Mutation
from ferryman_mutation.laboratory import Laboratory
from ferryman_mutation.overlay import Overlay

TEST = "tests/unit/test_worker_lookahead.py::test_many_slots_of_short_waits_have_a_round_trip_s_work_at_hand"
FILE = "worker/src/ferryman_worker/lookahead.py"
OLD = "return int(HORIZON_S / self._between_starts_s)"


def mutation(new: str, *tests: str) -> Mutation:
    return Mutation("m", FILE, OLD, new, "looking ahead", tests or (TEST,))


@pytest.fixture
def sound(tmp_path: Path) -> Overlay:
    return Overlay.of_tree(tmp_path / "sound")


@pytest.mark.parametrize(
    ("new", "exit_code", "failed", "accidents"),
    [
        pytest.param("return 0", 1, {TEST}, set(), id="a broken contract"),
        pytest.param(f"{OLD} + 0", 0, set(), set(), id="nothing that matters"),
        pytest.param("return nobody", 1, {TEST}, {TEST}, id="no working program"),
    ],
)
def test_only_a_broken_contract_is_noticed(
    tmp_path: Path, sound: Overlay, new: str, exit_code: int, failed: set[str], accidents: set[str]
) -> None:
    broken = mutation(new)
    seen = trial.run(sound.mutated(tmp_path / "m", broken), broken.noticed_by, 5)

    assert (seen.exit_code, set(seen.failed), set(seen.accidents)) == (exit_code, failed, accidents), seen.output


@pytest.mark.parametrize(
    ("new", "test"),
    [("return (", TEST), (OLD, f"{TEST}_that_nobody_wrote")],
    ids=["what can't be imported", "a test that is missing"],
)
def test_what_cannot_run_has_noticed_nothing(tmp_path: Path, sound: Overlay, new: str, test: str) -> None:
    seen = trial.run(sound.mutated(tmp_path / "m", mutation(new)), [test], 5)

    assert (seen.exit_code > 1, seen.passed, seen.failed) == (True, frozenset(), {})


def test_a_mutation_leaves_the_tree_and_the_sound_copy_alone(tmp_path: Path, sound: Overlay) -> None:
    text = (ROOT / FILE).read_text(encoding="utf-8")
    broken = sound.mutated(tmp_path / "m", mutation("return 0"))

    assert (ROOT / FILE).read_text(encoding="utf-8") == text
    assert (sound.folder / "ferryman_worker/lookahead.py").read_text(encoding="utf-8") == text
    assert (broken.folder / "ferryman_worker/lookahead.py").read_text(encoding="utf-8") != text


@pytest.mark.usefixtures("redis_program")
def test_every_process_of_a_test_imports_the_copy(sound: Overlay) -> None:
    """Workers that a test starts, too."""
    test = "tests/integration/test_worker_process.py::test_a_new_policy_is_followed_without_a_restart"
    seen = trial.run(sound, [test], None)

    assert seen.passed == {test}, seen.output
    origins = sound.imports()
    assert len(origins) >= 2, "pytest itself, and the worker"
    assert all(Path(file).is_relative_to(sound.folder) for files in origins.values() for file in files)


@pytest.mark.usefixtures("redis_program")
def test_trials_leave_no_copies_behind(tmp_path: Path) -> None:
    broken = mutation("return 0")
    laboratory = Laboratory(tmp_path, [broken])

    assert set(laboratory.of(broken).failed) == {TEST}
    assert laboratory.sound().passed == {TEST}
    laboratory.close()
    assert [path.name for path in tmp_path.iterdir()] == ["sound"]
