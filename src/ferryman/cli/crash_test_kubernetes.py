"""`ferryman crash-test --kubernetes`: the same on a real cluster, with options of its own."""

from __future__ import annotations

import random
import secrets
import sys

import click

from ferryman.cli.options import Milliseconds, QueueName, Words, json_option
from ferryman.cli.output import note, print_json
from ferryman.crashtest.cluster.kinds import DEFAULT_KINDS, KINDS

#: Between two kills, on average, when their number is not given.
_GAP_MS = 8_000

_HELP = f"""Kill pods, containers, the operator and Redis of a cluster, and prove task by task that nothing was lost.

Needs kubectl, a kubeconfig, and Ferryman installed by its chart. In a namespace of its own it makes a Redis, a
collector that keeps the execution log outside Redis and is never killed, a TaskQueue at default settings, and a
producer. In the end each id is compared with what Redis says and with what was killed when, and all of it is
removed. The operator is the cluster's own: other queues miss it while it is away.

A tenth of the tasks are nodes of workflows, and a tenth stand in lanes, as in the local crash test. Schedules and
unique keys are mixed in there only.

\b
What each kill does:
{chr(10).join(f"  {kind.name:<17} {kind.does}" for kind in KINDS.values())}

\b
How soon a dead worker's tasks run again, at default settings:
  1 s   from the restart of its container in the same pod
  5 s   from its death, when its pod is gone: the operator tells
  20 s  when only its silence tells (heartbeat-only)
  75 s  when only the CronJob is left (cronjob-only)

Exit code 1 when a task is lost, not done in time or unaccounted for, was repeated and no kill explains it, or when a
node was not released exactly once or a lane was over its limit. A wait beyond its bound is told, and is no failure: a
cluster may have no room for the next pod.

\b
Examples:
  ferryman crash-test --kubernetes --for 10m --tasks 20000 --seed 1
  ferryman crash-test --kubernetes --kinds heartbeat-only,cronjob-only --kills 4
"""


@click.command("crash-test --kubernetes", help=_HELP)
@click.option("--context", metavar="NAME", help="The context of the kubeconfig. Default: the current one.")
@click.option(
    "--namespace", metavar="NAME", help="Use this namespace; it stays if it exists. Default: a new one, removed."
)
@click.option(
    "--image", metavar="IMAGE", help="The workers' image. Default: the worker image of the installed release."
)
@click.option("--redis-image", metavar="IMAGE", help="An image with redis-server. Default: the chart's, or valkey.")
@click.option(
    "--redis", "redis_url", metavar="URL", help="Use this Redis, which is never killed. Default: one of its own."
)
@click.option(
    "--appendfsync",
    type=click.Choice(["always", "everysec"]),
    default="always",
    show_default=True,
    help="Of its own Redis. With everysec, what it acknowledged in the last 2 s before a kill may be gone.",
)
@click.option(
    "--for", "over", type=Milliseconds(), default="2m", show_default=True, help="How long tasks and kills come."
)
@click.option("--tasks", type=click.IntRange(1, 9_999_999), default=2_000, show_default=True, help="Tasks to enqueue.")
@click.option("--workers", type=click.IntRange(1, 100), default=3, show_default=True, help="Worker pods.")
@click.option("--concurrency", type=click.IntRange(1, 1_000), default=10, show_default=True, help="Tasks per worker.")
@click.option(
    "--kills", type=click.IntRange(0, 10_000), help=f"How often to kill. Default: every {_GAP_MS // 1_000} s."
)
@click.option(
    "--kinds", type=Words(KINDS), metavar="KIND,...", help="Only these kinds of kill. Default: all but the last two."
)
@click.option("--seed", type=int, help="The same seed and options plan the same kills. Default: a new one.")
@click.option(
    "--task-ms",
    type=click.FloatRange(0, 60_000),
    default=1_000.0,
    show_default=True,
    help="How long tasks take, about.",
)
@click.option(
    "--timeout", type=Milliseconds(), default="120s", show_default=True, help="How long after the last kill to wait."
)
@click.option("--queue", type=QueueName(), help="The name of the TaskQueue. Default: a new one.")
@click.option("--keep", is_flag=True, help="Leave all that was made in the cluster.")
@json_option
def crash_test_on_kubernetes(
    context: str | None,
    namespace: str | None,
    image: str | None,
    redis_image: str | None,
    redis_url: str | None,
    appendfsync: str,
    over: int,
    tasks: int,
    workers: int,
    concurrency: int,
    kills: int | None,
    kinds: tuple[str, ...] | None,
    seed: int | None,
    task_ms: float,
    timeout: int,
    queue: str | None,
    keep: bool,
    as_json: bool,
) -> None:
    """See _HELP."""
    from asyncio import run

    from ferryman.crashtest.cluster.outcome import ClusterSettings
    from ferryman.crashtest.cluster.report import lines, to_json_dict
    from ferryman.crashtest.cluster.run import ClusterCrashTest

    name = f"crash-test-{secrets.token_hex(3)}"
    settings = ClusterSettings(
        tasks=tasks,
        workers=workers,
        concurrency=concurrency,
        kills=max(1, over // _GAP_MS) if kills is None else kills,
        over_ms=over,
        seed=random.SystemRandom().randrange(1_000_000) if seed is None else seed,
        task_ms=task_ms,
        kinds=kinds or DEFAULT_KINDS,
        timeout_s=timeout / 1_000,
        queue=queue or name,
        namespace=namespace or f"ferryman-{name}",
        context=context,
        image=image,
        redis_image=redis_image,
        redis_url=redis_url,
        appendfsync=appendfsync,
        keep=keep,
    )
    note(f"seed {settings.seed}")
    outcome = run(ClusterCrashTest(settings, note).run())
    if as_json:
        print_json(to_json_dict(outcome))
    else:
        for line in lines(outcome):
            click.echo(line)
    if outcome.problems:
        sys.exit(1)
