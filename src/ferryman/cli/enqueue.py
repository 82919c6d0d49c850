"""`ferryman enqueue`: put tasks into a queue."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, TypeVar, get_args

import click

from ferryman.admission import Admission, encode_args, new_task
from ferryman.batches import args_bytes, batches
from ferryman.broker import Broker
from ferryman.cli.failure import CommandFailed
from ferryman.cli.options import QueueName, connected, json_option, redis_option
from ferryman.cli.output import Progress, note, print_json
from ferryman.errors import InvalidTask, NotReplicated, UnknownTask
from ferryman.inspector import Inspector
from ferryman.link import SyncLink
from ferryman.manifest import TaskManifest
from ferryman.new_task import Enqueued, NewTask
from ferryman.options import EnqueueOptions
from ferryman.replication import DEFAULT_TIMEOUT, REPLICAS_AT_MOST, ReplicaWait
from ferryman.uniqueness import UniqueFor

T = TypeVar("T")

_CALLS = 8  # script calls per pipelined round trip


class JsonObject(click.ParamType[dict[str, Any]]):
    """A JSON object; `-` reads it from standard input."""

    name = "args_json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        text = sys.stdin.read() if value == "-" else value
        try:
            decoded = json.loads(text)
        except (ValueError, RecursionError) as error:
            self.fail(f'this is not JSON: {error}. Write the arguments as one object: \'{{"to": "a@example.com"}}\'')
        if not isinstance(decoded, dict):
            self.fail(f"a JSON object is needed, with the parameters' names: '{{\"value\": {text.strip()[:60]}}}'")
        return decoded


class HeaderLine(click.ParamType[tuple[str, str]]):
    """A header as in HTTP: `name: value`."""

    name = "header"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, colon, text = value.partition(":")
        if not colon:
            self.fail(f"{value!r} has no colon; write it as 'name: value'")
        return name.strip(), text.strip()


@click.command()
@click.argument("queue", type=QueueName())
@click.argument("task")
@click.argument("args", metavar="[ARGS_JSON]", type=JsonObject(), default="{}")
@click.option("--delay", metavar="DURATION", help="Start it this much later, such as 10s or 1h30m.")
@click.option("--at", metavar="ISO", help="Start it at this time, such as 2030-01-31T08:00:00+01:00.")
@click.option("--count", type=click.IntRange(1, 10_000_000), default=1, help="Enqueue it this many times.")
@click.option("--priority", type=int, default=0, help="Higher runs earlier; 0 is the common line.")
@click.option("--id", "task_id", metavar="ID", help="The task's id, which is its idempotency key. Default: random.")
@click.option("--unique", metavar="KEY", help="No second task with this key until this one has ended.")
@click.option(
    "--unique-for",
    type=click.Choice(get_args(UniqueFor)),
    help="With --unique: until its task has ended (the default), or until a worker has fetched it.",
)
@click.option("--throttle", metavar="DURATION", help="With --unique: at most one task in this time, however it ends.")
@click.option("--debounce", metavar="DURATION", help="With --unique: run the last one when none came for this time.")
@click.option("--lane", metavar="KEY", help="Whose turn it takes, such as a tenant's. Default: nobody's.")
@click.option("--max-attempts", type=int, help="How many times to try it.")
@click.option(
    "--keep-result", metavar="DURATION", help="For how long its result can be had. Default: as its handler says."
)
@click.option("--expires", metavar="DURATION", help="So long from now no worker runs it any more.")
@click.option(
    "--header",
    "headers",
    type=HeaderLine(),
    multiple=True,
    metavar="LINE",
    help="Goes with the task, such as 'traceparent: 00-…'. Can be given several times.",
)
@click.option(
    "--wait-replicas",
    type=click.IntRange(0, REPLICAS_AT_MOST),
    metavar="N",
    help="Fail unless N replicas of Redis confirm it. Default: $FERRYMAN_WAIT_REPLICAS, then 0.",
)
@click.option(
    "--wait-replicas-timeout",
    metavar="DURATION",
    help="How long they may take. Default: $FERRYMAN_WAIT_REPLICAS_TIMEOUT, then 1s.",
)
@click.option("--allow-unknown", is_flag=True, help="Do not check name and arguments with what the workers published.")
@redis_option
@json_option
def enqueue(
    queue: str,
    task: str,
    args: dict[str, Any],
    delay: str | None,
    at: str | None,
    count: int,
    priority: int,
    task_id: str | None,
    unique: str | None,
    unique_for: UniqueFor | None,
    throttle: str | None,
    debounce: str | None,
    lane: str | None,
    max_attempts: int | None,
    keep_result: str | None,
    expires: str | None,
    headers: tuple[tuple[str, str], ...],
    wait_replicas: int | None,
    wait_replicas_timeout: str | None,
    allow_unknown: bool,
    redis_url: str | None,
    as_json: bool,
) -> None:
    """Put TASK with the arguments ARGS_JSON into QUEUE, and print its id.

    ARGS_JSON is one object with the parameters' names; `-` reads it from standard input. The name and the
    arguments are checked with what the queue's workers published, once there are any.

    \b
    Example:
      ferryman enqueue emails send '{"to": "a@example.com", "subject": "hi"}' --delay 10s
    """
    if count > 1 and (task_id or unique):
        raise click.UsageError("--count makes several tasks, but an --id or --unique key names one; leave one out.")
    try:
        options = EnqueueOptions.of(
            delay=delay,
            at=at,
            priority=priority,
            id=task_id or "",
            unique=unique or "",
            unique_for=unique_for,
            throttle=throttle,
            debounce=debounce,
            lane=lane,
            max_attempts=max_attempts,
            keep_result=keep_result,
            expires=expires,
            headers=dict(headers),
        )
        encoded = encode_args(args)
        first = new_task(task, encoded, options)
        ReplicaWait.of(wait_replicas or 0, wait_replicas_timeout or DEFAULT_TIMEOUT)
    except InvalidTask as error:
        raise click.UsageError(_readable(error)) from error
    wait = ReplicaWait.from_env(os.environ, wait_replicas, wait_replicas_timeout)
    with connected(redis_url) as link:
        if not allow_unknown and (known := _admit(link, queue, task, args)) is not None:
            options = options.over(known.keep_result_s, round((known.expires_s or 0) * 1000))
            first = new_task(task, encoded, options)
        link.run(Broker(queue).announce())
        tasks = chain([first], (new_task(task, encoded, options) for _ in range(count - 1)))
        with Progress("enqueued", count) as progress:
            _enqueue(link, queue, tasks, wait, progress, as_json)


def _admit(link: SyncLink, queue: str, task: str, args: dict[str, Any]) -> TaskManifest | None:
    """What the workers said of the task, if they have."""
    try:
        manifest = link.run(Inspector(queue).manifest())
        Admission(queue, manifest).check(task, args)
        return manifest.get(task)
    except UnknownTask as error:
        raise CommandFailed(f"{error.message}\nIf a newer worker will know it, add --allow-unknown.") from error
    except InvalidTask as error:
        raise CommandFailed(f"task {task!r}: parameter {error.field!r} {error.message}.") from error


def _enqueue(
    link: SyncLink, queue: str, tasks: Iterable[NewTask], wait: ReplicaWait, progress: Progress, as_json: bool
) -> None:
    broker, accepted = Broker(queue), 0
    answers: list[dict[str, object]] = []
    unsure: NotReplicated | None = None
    for calls in _chunks(map(broker.enqueue, batches(tasks, args_bytes)), _CALLS):
        for reply in chain.from_iterable(map(link.run_all, wait.rounds(calls))):
            if isinstance(reply, NotReplicated):
                unsure, reply = reply, reply.accepted
            if isinstance(reply, Exception):
                if accepted:
                    note(f"{accepted:,} tasks were enqueued before this:")
                raise reply
            accepted += len(reply)
            if as_json:
                answers += [{"id": one.id, "created": one.created} for one in reply]
            else:
                _print_ids(reply)
        progress.at(accepted)
        if unsure:
            break
    if as_json:
        print_json(answers[0] if len(answers) == 1 else answers)
    if unsure:
        why = f": {unsure.reason}" if unsure.reason else ""
        raise CommandFailed(
            f"{accepted:,} accepted, but only {unsure.replicas} of {unsure.wanted} replicas confirmed in time{why}.\n"
            "They will run unless this Redis dies before it has told a replica; "
            "sending one again with its --id is harmless."
        )


def _print_ids(enqueued: list[Enqueued]) -> None:
    click.echo("\n".join(one.id for one in enqueued))
    for one in enqueued:
        if not one.created:
            note(f"{one.id} existed already; nothing was added.")


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def _readable(error: InvalidTask) -> str:
    names = {"task": "TASK", "args": "ARGS_JSON", "queue": "QUEUE", "headers": "--header"}
    option = names.get(error.field, "--" + error.field.replace("_", "-"))
    return f"{option}: {error.message}"
