"""The root command: finds sub-commands, groups them in its help, and turns errors into exit codes.

Exit codes of every command: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

from importlib import import_module

import click

from ferryman import __version__
from ferryman.cli.catalogue import KNOWN, brought
from ferryman.cli.failure import CommandFailed
from ferryman.errors import FerrymanError
from ferryman.first_process import end_when_told


class FerrymanGroup(click.Group):
    """Loads a sub-command only when it is called, so that `ferryman stats` never imports a web framework."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command of Ferryman's own, installed or not, then those that others brought."""
        return [*KNOWN, *sorted(brought())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; for one that is known but not installed, a command that says how to install it."""
        if known := KNOWN.get(cmd_name):
            return _load(cmd_name, known.code) if known.is_installed else _not_installed(cmd_name, known.install)
        if point := brought().get(cmd_name):
            return _load(cmd_name, point.value)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from difflib import get_close_matches

            nearest = get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f"Did you mean {nearest[0]!r}?" if nearest else "`ferryman --help` lists all commands."
            raise click.UsageError(f"No such command {name!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, each with one line."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            if known := KNOWN.get(name):
                missing = "" if known.is_installed else f"  (not installed: {known.install})"
                sections.setdefault(known.section, []).append((name, known.summary + missing))
            elif command := self.get_command(ctx, name):
                sections.setdefault("More", []).append((name, command.get_short_help_str(limit=100)))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; an error of Ferryman's becomes a message and exit code 1."""
        try:
            return super().invoke(ctx)
        except FerrymanError as error:
            raise CommandFailed(str(error)) from error


def _load(name: str, code: str) -> click.Command:
    module, _, attribute = code.partition(":")
    try:
        command = getattr(import_module(module), attribute)
    except ImportError as error:
        raise CommandFailed(f"`ferryman {name}` is installed but cannot be loaded: {error}") from error
    if not isinstance(command, click.Command):
        raise CommandFailed(f"{code!r}, the code of `ferryman {name}`, is not a click command")
    return command


def _not_installed(name: str, install: str) -> click.Command:
    def fail() -> None:
        raise CommandFailed(f"`ferryman {name}` is not installed. Install it:\n  {install}")

    # It takes whatever the real one would, so that a script sees this message and not "no such option".
    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    return click.Command(name, callback=fail, context_settings=settings)


@click.group(cls=FerrymanGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ferryman")
def root() -> None:
    """A fault-tolerant task queue on Redis.

    `ferryman COMMAND --help` explains a command and shows an example.
    """


def main() -> None:
    """The console script."""
    end_when_told()
    root(prog_name="ferryman")
