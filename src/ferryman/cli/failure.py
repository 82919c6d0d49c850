"""How a command fails: one message that says what to do, on stderr, and exit code 1."""

from __future__ import annotations

from importlib.util import find_spec
from typing import IO, Any

import click


class CommandFailed(click.ClickException):
    """The command could not do what was asked. Exit code 1 (wrong usage is click's own, 2)."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {self.format_message()}", file=file, err=file is None)


def require(command: str, extra: str, *modules: str) -> None:
    """Fails with the install line unless every one of `modules` can be imported."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise CommandFailed(
            f"`ferryman {command}` needs {', '.join(missing)}. Install it:\n  pip install 'ferryman[{extra}]'"
        )
