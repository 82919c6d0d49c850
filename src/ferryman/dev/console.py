"""What `ferryman dev` prints: the children's lines with coloured names, its own remarks, and the banner."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

import click

from ferryman.dev.discover import FoundQueue
from ferryman.dev.redis_server import DEFAULT_PORT

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")


class Console:
    """Gives every name a colour of its own and keeps the lines aligned."""

    def __init__(self) -> None:
        self._colours: dict[str, str] = {}
        self._width = len("scheduler")

    def expect(self, name: str) -> None:
        """Makes room for a child's name before its first line."""
        self._width = max(self._width, len(name))

    def say(self, name: str, line: str) -> None:
        """One line of a child, or a remark about it."""
        colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
        _print(f"{click.style(name.ljust(self._width), fg=colour)} | {line}")

    def remark(self, line: str) -> None:
        """Something about the whole."""
        _print(click.style(line, bold=True))

    def warn(self, line: str) -> None:
        """Something a person must mend."""
        _print(click.style(line, fg="red"))


def _print(line: str) -> None:
    # A terminal that is gone (or a `| tee` that took the Ctrl-C) must not keep the session from stopping.
    with suppress(BrokenPipeError):
        click.echo(line)


def banner(app: str, queues: Sequence[FoundQueue], api_url: str, redis_url: str, redis_kind: str) -> str:
    """What runs and where, and the next thing to try."""
    names = ", ".join(queue.name for queue in queues)
    lines = [
        click.style(f"Ferryman runs {app}: {names}", bold=True),
        f"  API    {api_url}  (docs at {api_url}/docs; no token, this machine only)",
        f"  Redis  {redis_url}  ({redis_kind})",
        "  Save a file and the workers start again. Ctrl-C stops everything.",
        "",
        "Next, in another terminal:",
    ]
    example = next(((queue.name, *queue.example) for queue in queues if queue.example), None)
    if example:
        queue, task, args = example
        body = json.dumps({"queue": queue, "task": task, "args": args}, ensure_ascii=False).replace("'", "'\\''")
        lines.append(f"  curl {api_url}/tasks -H 'Content-Type: application/json' -d '{body}'")
    if redis_url != f"redis://127.0.0.1:{DEFAULT_PORT}/0":
        lines.append(f"  export FERRYMAN_REDIS_URL={redis_url}")
    lines.append("  ferryman stats        # or watch: ferryman top")
    return "\n".join(["", *lines, ""])
