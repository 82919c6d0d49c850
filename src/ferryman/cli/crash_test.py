"""`ferryman crash-test`: kills things on purpose and proves that nothing was lost."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from ferryman.cli.failure import CommandFailed, require
from ferryman.cli.options import Milliseconds, QueueName, Words, json_option
from ferryman.cli.output import note, print_json
from ferryman.crashtest.kinds import DEFAULT_KINDS, KINDS, REDIS

_HELP = f"""Kill workers, schedulers, the API and connections on purpose, and prove task by task that nothing was lost.

With --kubernetes it does so in a cluster, to pods; see: ferryman crash-test --kubernetes --help

Without, it runs real workers, a scheduler and an API on this machine. Every task writes down its start and its end,
outside Redis; in the end each id is compared with what Redis says and with what was killed when.

\b
What is mixed into the tasks:
  workflows        a tenth are nodes of chains and groups: each one that waits for others is released once
  lanes            a tenth stand in lanes with a concurrency and a rate: never more of one at once than may run
  schedules        one every second, one cron line each minute: each occurrence that was due is fired once
  unique keys      until done, while waiting, throttle and debounce: never two tasks with one key at once

\b
What each kill does:
{chr(10).join(f"  {kind:<16} {does}" for kind, does in KINDS.items())}

The operator runs nowhere here: only --kubernetes can kill it.

\b
What Redis may forget when it is killed:
  --aof-restart always    nothing
  --aof-restart everysec  what it acknowledged in the last 2 s
  --failover              what it acknowledged in the last second and its replica had not yet

Exit code 1 when a task is lost, not done in time or unaccounted for, or was repeated and no kill explains it; and when
what is said above of workflows, lanes, schedules or unique keys does not hold.

When this machine or Redis stands still for a while, workers tell late what they did, and a kill explains more. The
report says so.

\b
Example:
  ferryman crash-test --tasks 2000 --kills 10 --seed 1
"""


class _EitherMode(click.Command):
    """With --kubernetes, another command with options of its own takes over."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if "--kubernetes" not in args:
            return super().make_context(info_name, args, parent, **extra)
        from ferryman.cli.crash_test_kubernetes import crash_test_on_kubernetes

        words = [word for word in args if word != "--kubernetes"]
        return crash_test_on_kubernetes.make_context(f"{info_name} --kubernetes", words, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


@click.command("crash-test", cls=_EitherMode, help=_HELP)
@click.option("--kubernetes", is_flag=True, help="Do it to pods of a cluster, with other options: add --help.")
@click.option(
    "--tasks",
    type=click.IntRange(1, 9_999_999),
    default=2_000,
    show_default=True,
    help="Tasks to enqueue; schedules and unique keys add some.",
)
@click.option("--workers", type=click.IntRange(1, 100), default=4, show_default=True, help="Worker processes.")
@click.option("--schedulers", type=click.IntRange(1, 10), default=1, show_default=True, help="Scheduler processes.")
@click.option("--kills", type=click.IntRange(0, 10_000), default=10, show_default=True, help="How often to kill.")
@click.option("--kinds", type=Words(DEFAULT_KINDS), metavar="KIND,...", help="Only these kinds of kill. Default: all.")
@click.option(
    "--aof-restart",
    type=click.Choice(["always", "everysec"]),
    is_flag=False,
    flag_value="everysec",
    help="Kill Redis as well; it comes back from its append-only file, written with this appendfsync.",
)
@click.option("--failover", is_flag=True, help="Kill Redis as well; its replica is promoted.")
@click.option("--seed", type=int, help="The same seed and options plan the same kills. Default: a new one.")
@click.option(
    "--task-ms", type=click.FloatRange(0, 60_000), default=50.0, show_default=True, help="How long tasks take, about."
)
@click.option(
    "--worker-timeout",
    type=Milliseconds(),
    default="15s",
    show_default=True,
    help="The silence after which a worker may be declared dead.",
)
@click.option(
    "--timeout", type=Milliseconds(), default="120s", show_default=True, help="How long after the last kill to wait."
)
@click.option(
    "--redis", "redis_url", metavar="URL", help="Use this Redis, which is never killed. Default: one of its own."
)
@click.option("--queue", type=QueueName(), help="A queue that nobody uses. Default: a new name.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep the logs in this new folder.")
@json_option
def crash_test(
    kubernetes: bool,
    tasks: int,
    workers: int,
    schedulers: int,
    kills: int,
    kinds: tuple[str, ...] | None,
    aof_restart: str | None,
    failover: bool,
    seed: int | None,
    task_ms: float,
    worker_timeout: int,
    timeout: int,
    redis_url: str | None,
    queue: str | None,
    keep: Path | None,
    as_json: bool,
) -> None:
    """See _HELP."""
    if redis_url and (aof_restart or failover):
        raise click.UsageError("--aof-restart and --failover kill Redis, and a Redis given with --redis is not ours.")
    if aof_restart and failover:
        raise click.UsageError("--aof-restart and --failover exclude each other; run one after the other.")
    if worker_timeout < 1_000:
        raise click.BadParameter("under 1s any hiccup would be taken for death", param_hint="--worker-timeout")
    require("crash-test", "dev", "ferryman_worker", "ferryman_scheduler", "fastapi", "uvicorn")

    from asyncio import run

    from ferryman.crashtest.outcome import Settings
    from ferryman.crashtest.report import lines, to_json_dict
    from ferryman.crashtest.run import CrashTest

    settings = Settings(
        tasks=tasks,
        workers=workers,
        schedulers=schedulers,
        kills=kills,
        seed=random.SystemRandom().randrange(1_000_000) if seed is None else seed,
        task_ms=task_ms,
        kinds=(*(kinds or DEFAULT_KINDS), *((REDIS,) if aof_restart or failover else ())),
        kinds_asked=kinds is not None,
        timeout_s=timeout / 1_000,
        worker_timeout_ms=worker_timeout,
        queue=queue or f"crash-test-{secrets.token_hex(4)}",
        redis_url=redis_url,
        redis_fails="aof-restart" if aof_restart else "failover" if failover else "",
        appendfsync=aof_restart or "everysec",
        folder=_new_folder(keep),
        # What the shell has set for another Ferryman must not change the test.
        env={name: value for name, value in os.environ.items() if not name.startswith("FERRYMAN_")},
    )
    note(f"seed {settings.seed}; logs in {settings.folder}")
    outcome = run(CrashTest(settings, note).run())
    if as_json:
        print_json(to_json_dict(outcome))
    else:
        for line in lines(outcome):
            click.echo(line)
    if outcome.problems:
        note(f"The logs stay in {settings.folder}.")
        sys.exit(1)
    if keep is None:
        shutil.rmtree(settings.folder)


def _new_folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="ferryman-crash-test-"))
    try:
        keep.mkdir(parents=True)
    except FileExistsError as error:
        raise CommandFailed(
            f"{keep} exists. Name a new folder with --keep; old logs would mix with new ones."
        ) from error
    return keep.resolve()
