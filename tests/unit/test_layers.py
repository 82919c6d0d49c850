"""The layers of docs/architecture.md, read from the source: who may import whom, and what may lie where."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "ferryman": ROOT / "src/ferryman",
    "ferryman_pytest": ROOT / "src/ferryman_pytest",
    "ferryman_worker": ROOT / "worker/src/ferryman_worker",
    "ferryman_scheduler": ROOT / "scheduler/src/ferryman_scheduler",
    "ferryman_operator": ROOT / "operator/src/ferryman_operator",
}
MEMBERS = tuple(name for name in PACKAGES if name != "ferryman")
MODULES = {path: package for package, folder in PACKAGES.items() for path in sorted(folder.rglob("*.py"))}
SCRIPTS = sorted((PACKAGES["ferryman"] / "scripts").glob("*.lua"))

#: Libraries that only some modules may import; paths as patterns under the repository.
KEPT_APART = {
    "redis": ["src/ferryman/redis_client.py"],
    "hiredis": ["src/ferryman/wire.py"],
    "kubernetes": ["operator/src/ferryman_operator/cluster.py"],
    "kopf": [f"operator/src/ferryman_operator/{name}.py" for name in ("handlers", "settings", "__main__")],
    "prometheus_client": ["**/metrics.py"],
    "opentelemetry": ["src/ferryman/otel.py"],
    "sentry_sdk": ["src/ferryman/sentry.py"],
    "fakeredis": ["src/ferryman/testing/fake_redis.py"],
    "django": ["src/ferryman/django/*.py"],
    "django_tasks": ["src/ferryman/django/interface.py"],
    "pytest": ["src/ferryman_pytest/__init__.py"],
}

#: Longer files hide a second role.
MOST_LINES = 300


def imports(path: Path) -> Iterator[str]:
    """Every module that `path` names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{shown(path)} imports relatively; name the module in full"
            yield node.module or ""


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_module = pytest.mark.parametrize("path", MODULES, ids=shown)
each_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)


@each_module
def test_members_import_the_library_and_never_each_other(path: Path) -> None:
    allowed = {"ferryman", MODULES[path]}
    ours = {name.split(".")[0] for name in imports(path) if name.split(".")[0] in PACKAGES}
    assert ours <= allowed


@each_module
def test_some_libraries_are_kept_apart(path: Path) -> None:
    for name in imports(path):
        library = name.split(".")[0]
        if library in KEPT_APART:
            assert any(Path(shown(path)).match(pattern) for pattern in KEPT_APART[library]), (
                f"{shown(path)} imports {library}, which belongs into {KEPT_APART[library] or 'tests'}"
            )


@each_module
def test_modules_are_named_for_their_role_and_short(path: Path) -> None:
    assert path.stem not in {"utils", "util", "common", "helpers", "constants", "types", "misc"}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@each_module
def test_the_environment_is_read_only_where_commands_start(path: Path) -> None:
    """A library that reads os.environ by itself can't be configured twice in one process.

    `pools` is where a producer's first enqueue starts, which nobody wires.
    """
    text = path.read_text(encoding="utf-8")
    wiring = path.parent.name in ("cli", "dev") or path.stem in ("command", "__main__", "pools")
    assert wiring or not re.search(r"os\.(environ|getenv)", text)


@pytest.mark.parametrize("folder", ["operator", "worker", "scheduler"])
def test_project_folders_are_no_packages(folder: str) -> None:
    """`operator/__init__.py` would shadow the standard library's operator and break `import collections`."""
    assert list((ROOT / folder).glob("*.py")) == []
    assert not (ROOT / "tests" / folder).exists()


def test_test_folders_are_no_packages() -> None:
    tests = ROOT / "tests"
    for folder in (tests, tests / "unit", tests / "integration"):
        assert not (folder / "__init__.py").exists()


def test_the_charts_crd_is_the_one_of_manifests() -> None:
    copies = [path for path in (ROOT / "charts/ferryman").rglob("*crd*.yaml") if "templates" not in path.parts]
    sources = {path.name: path.read_text() for path in (ROOT / "manifests").glob("crd*.yaml")}
    assert {copy.name: copy.read_text() for copy in copies} == sources


@each_script
def test_a_script_states_its_contract_on_top(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    header = text[: re.search(r"^(?!--)", text, re.MULTILINE).start()]  # type: ignore[union-attr]
    assert header.startswith(f"-- {path.stem}: ")
    assert "-- KEYS[1] " in header
    assert "-- Returns " in header
    bound = re.search(r"^local ([\w, ]+) = unpack\(KEYS\)", text, re.MULTILINE)
    named = [int(n) for n in re.findall(r"KEYS\[(\d+)\.*\] ", header)]
    assert named == list(range(1, len(named) + 1))
    if bound:
        # Who does not need the root itself leaves it to the parts, as KEYS[#KEYS].
        unbound = "the queue's root (prefix)" in header and not bound[1].endswith("root")
        expected = len(named) - unbound
        assert len(bound[1].split(", ")) == expected, "the header names each key that the script binds, in order"


@each_script
def test_a_script_is_the_call_of_the_protocol(path: Path) -> None:
    protocol = (
        PACKAGES["ferryman"] / f"{name}.py"
        for name in ("broker", "ends", "workers", "policy", "inspector", "lane_figures", "timetable")
    )
    assert any(f'Call("{path.stem}"' in module.read_text(encoding="utf-8") for module in protocol)


@each_script
def test_a_script_neither_searches_all_keys_nor_decodes_a_payload(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"call\(\s*['\"](KEYS|SCAN|HSCAN|SSCAN|ZSCAN|SMEMBERS|SORT|FLUSH\w+)\b", text, re.IGNORECASE)
    # Terms are ours, and no payload: what few tasks ask for of the enqueue itself.
    assert "cjson.decode" not in text.replace("pcall(cjson.decode, terms)", "")
    assert "os.time" not in text
