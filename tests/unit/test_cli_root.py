"""The root command: its help, missing and mistyped commands, exit codes, and what it does not import."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from importlib.util import find_spec

import click
import pytest
from click.testing import CliRunner

from ferryman.cli import catalogue, main
from ferryman.cli.main import root

COMMANDS = (
    *("enqueue", "stats", "tasks", "show", "revive", "cancel", "purge", "reset", "hold", "resume"),
    *("worker", "scheduler", "recover", "api", "dev", "top"),
)


@pytest.fixture
def only_root_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a venv with nothing but the library."""
    monkeypatch.setattr(catalogue, "find_spec", lambda package: find_spec(package) if package == "ferryman" else None)


def test_help_lists_every_command_once() -> None:
    words = CliRunner().invoke(root, ["--help"]).output.splitlines()
    listed = [line.split()[0] for line in words if line.startswith("  ") and not line.startswith("   ")]
    assert sorted(name for name in listed if name in COMMANDS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("reset", "worker", "scheduler", "recover")])
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    result = CliRunner().invoke(root, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example:\n    ferryman {name}" in result.output
    assert "--redis" in result.output


@pytest.mark.usefixtures("only_root_installed")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["worker", "emails", "--app", "tasks"], "pip install 'ferryman[worker]'"),
        (["scheduler"], "pip install ferryman-scheduler"),
        (["recover", "--help"], "pip install ferryman-scheduler"),
    ],
)
def test_a_command_that_is_not_installed_prints_its_install_line(words: list[str], line: str) -> None:
    result = CliRunner().invoke(root, words)
    assert result.exit_code == 1
    assert line in result.output


@pytest.mark.usefixtures("only_root_installed")
def test_help_says_which_commands_are_not_installed() -> None:
    output = " ".join(CliRunner().invoke(root, ["--help"]).output.split())
    assert "worker Run the tasks of a queue. (not installed: pip install 'ferryman[worker]')" in output


def test_a_command_whose_module_cannot_be_imported_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = catalogue.Known("Run", "Run the tasks of a queue.", "ferryman.of_another_time:worker")
    monkeypatch.setattr(main, "KNOWN", {"worker": broken})
    result = CliRunner().invoke(root, ["worker"])
    assert result.exit_code == 1
    assert "cannot be loaded: No module named 'ferryman.of_another_time'" in result.output


def test_other_distributions_bring_commands_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("figures", "ferryman.cli.stats:stats", catalogue.GROUP)
    monkeypatch.setattr(main, "brought", lambda: {"figures": point})
    assert "Show the figures of" in CliRunner().invoke(root, ["figures", "--help"]).output
    assert "figures" in CliRunner().invoke(root, ["--help"]).output.partition("More:")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_code_where_the_catalogue_says(name: str) -> None:
    command = main.FerrymanGroup().get_command(click.Context(root), name)
    assert command is not None
    assert command.name == {"reset": "purge"}.get(name, name)


def test_a_mistyped_command_is_wrong_usage_and_names_the_nearest() -> None:
    result = CliRunner().invoke(root, ["statz"])
    assert result.exit_code == 2
    assert "Did you mean 'stats'?" in result.output


def test_a_redis_that_is_not_there_fails_with_what_to_do_and_without_the_password() -> None:
    result = CliRunner().invoke(root, ["stats", "--redis", "redis://:secret@127.0.0.1:1/0"])
    assert result.exit_code == 1
    assert "Redis unreachable at redis://:***@127.0.0.1:1/0" in result.output
    assert "ferryman dev" in result.output
    assert "secret" not in result.output


def test_what_is_no_redis_url_is_named() -> None:
    result = CliRunner().invoke(root, ["stats", "--redis", "localhost:6379"])
    assert result.exit_code == 1
    assert "no Redis URL" in result.output


@pytest.mark.parametrize("module", ["ferryman.cli.main", "ferryman.cli.stats", "ferryman.cli.api", "ferryman.cli.top"])
def test_a_command_imports_no_framework_before_it_needs_one(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"fastapi", "pydantic", "uvicorn", "textual", "watchfiles", "prometheus_client", "redis"}
