"""Finds an app's queues, in a process of its own: `python -m ferryman.dev.discover APP` prints them as JSON.

So a syntax error ends that process and not `ferryman dev`, and every save is seen with fresh modules.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from dataclasses import dataclass
from typing import Any

from ferryman.app import load_app
from ferryman.cli.failure import CommandFailed
from ferryman.errors import FerrymanError
from ferryman.sample import sample_args


@dataclass(frozen=True, slots=True)
class FoundQueue:
    """A queue of the app. `example` is a task with arguments that fit it, if there is a simple one."""

    name: str
    tasks: list[str]
    example: tuple[str, dict[str, Any]] | None


async def discover(app: str) -> list[FoundQueue]:
    """The queues of `app`, by name. Raises CommandFailed with what went wrong."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ferryman.dev.discover", app),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise CommandFailed(err.decode(errors="replace").strip())
    # The app may print while it is imported; what was found is the last line.
    found = json.loads(out.decode().strip().splitlines()[-1])
    return [FoundQueue(one["name"], one["tasks"], one["example"] and tuple(one["example"])) for one in found]


def _describe(app: str) -> list[dict[str, Any]]:
    found = []
    for name, queue in sorted(load_app(app).items()):
        manifest = queue.manifest(app)
        examples = ((task, sample_args(entry.schema)) for task, entry in manifest.tasks.items())
        example = next(((task, args) for task, args in examples if args is not None), None)
        found.append({"name": name, "tasks": list(manifest.tasks), "example": example})
    return found


if __name__ == "__main__":
    try:
        print(json.dumps(_describe(sys.argv[1])))
    except FerrymanError as error:
        if (cause := error.__cause__) is not None:
            # A syntax error shows its line by itself; of others the last frames are the app's.
            traceback.print_exception(cause, limit=0 if isinstance(cause, SyntaxError) else -2)
        sys.exit(str(error))
