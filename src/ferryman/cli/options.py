"""Arguments and options that many commands share, and the link to Redis they run on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from ferryman.cli.failure import CommandFailed
from ferryman.durations import duration_ms
from ferryman.errors import BrokerUnavailable, InvalidTask
from ferryman.link import SyncLink
from ferryman.settings import RedisSettings
from ferryman.task import TaskState, check_queue_name, check_task_id


class QueueName(click.ParamType[str]):
    """A queue's name."""

    name = "queue"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return check_queue_name(value)
        except InvalidTask as error:
            self.fail(error.message, param, ctx)


class Milliseconds(click.ParamType[int]):
    """A duration such as 10s or 1m30s, as milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return duration_ms(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Words(click.ParamType[tuple[str, ...]]):
    """Words of `known`, separated by commas; each counts once, and one at least is wanted."""

    name = "words"

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(known)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(part.strip() for part in str(value).split(",") if part.strip()))
        if unknown := [word for word in words if word not in self._known]:
            self.fail(f"{unknown[0]!r} is none of {', '.join(self._known)}", param, ctx)
        if not words:
            self.fail(f"name at least one of {', '.join(self._known)}", param, ctx)
        return words


class TaskId(click.ParamType[str]):
    """A task's id."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return check_task_id(value)
        except InvalidTask as error:
            self.fail(error.message, param, ctx)


queue_argument = click.argument("queue", type=QueueName())
task_id_argument = click.argument("task_id", metavar="ID", type=TaskId())
redis_option = click.option(
    "--redis",
    "redis_url",
    metavar="URL",
    help="Where Redis is. Default: $FERRYMAN_REDIS_URL, then redis://127.0.0.1:6379/0.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def state_type(*states: TaskState) -> click.Choice[str]:
    """A choice of task states, by their names."""
    listed = states or [state for state in TaskState if state is not TaskState.DISCARDED]
    return click.Choice([state.value for state in listed])


@contextmanager
def connected(redis_url: str | None) -> Iterator[SyncLink]:
    """A link to the Redis that `--redis` or the environment names; says what to do when none answers there."""
    settings = RedisSettings.from_env(os.environ, redis_url)
    try:
        link = SyncLink.from_url(settings.url, client_name="ferryman-cli")
    except ValueError as error:
        raise CommandFailed(
            f"{settings.safe_url!r} is no Redis URL: {error}. Example: redis://127.0.0.1:6379/0"
        ) from error
    try:
        yield link
    except BrokerUnavailable as error:
        raise CommandFailed(unreachable(settings, error)) from error
    finally:
        link.close()


def unreachable(settings: RedisSettings, error: BrokerUnavailable) -> str:
    """What a person should read when Redis does not answer."""
    return (
        f"Redis unreachable at {settings.safe_url}: {error.__cause__ or error}\n"
        "Start one with `ferryman dev`, or say where it is with --redis URL or FERRYMAN_REDIS_URL."
    )
