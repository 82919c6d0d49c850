"""`ferryman dev`: all queues of an app on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from ferryman.cli.failure import CommandFailed, require

_STARTER = """from ferryman import Queue

emails = Queue("emails")

@emails.task
async def send(to: str, subject: str = "hi") -> None:
    print(f"to {to}: {subject}")
"""


@click.command()
@click.option(
    "--app", metavar="MODULE", help="The app: a module, or a path to a .py file. Default: app, when app.py is here."
)
@click.option(
    "--redis",
    "redis_url",
    metavar="URL",
    help="Use this Redis and start none. $FERRYMAN_REDIS_URL is not read, so that no shared Redis is hit by accident.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Of the API; another if it is taken."
)
def dev(app: str | None, redis_url: str | None, port: int) -> None:
    """Run all queues of an app on this machine: a Redis, the scheduler, the API, and a worker per queue.

    There is nothing to install but this. Workers start again when a file is saved. Tasks are kept in .ferryman/
    and go on the next time. Ctrl-C stops everything.

    \b
    Example:
      ferryman dev --app app.py
      ferryman dev --app acme.tasks --redis redis://127.0.0.1:6379/1
    """
    require(
        "dev", "dev", "watchfiles", "ferryman_worker", "ferryman_scheduler", "fastapi", "uvicorn", "prometheus_client"
    )
    from asyncio import run

    from ferryman.dev.session import DevSettings, Session

    settings = DevSettings(app or _default_app(), redis_url, port)

    async def session() -> None:
        await Session(settings).run()

    run(session())


def _default_app() -> str:
    if Path("app.py").is_file():
        return "app.py"
    indented = "\n".join(f"    {line}".rstrip() for line in _STARTER.splitlines())
    raise CommandFailed(
        f"there is no app.py here, and no --app was given. Save this as app.py, for a start:\n\n{indented}\n"
    )
