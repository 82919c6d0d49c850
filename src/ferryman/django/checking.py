"""Checking: what `manage.py check` says of a backend's settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from django.core import checks

from ferryman.errors import FerrymanError
from ferryman.link import SyncLink
from ferryman.options import task_options
from ferryman.task import check_queue_name

OPTIONS: Final = ("redis_url", "max_attempts", "keep_result")


def check_backend(alias: str, queues: Collection[str], options: Mapping[str, Any]) -> list[checks.CheckMessage]:
    """Errors, each with what to do."""
    where = f"TASKS[{alias!r}]"
    found: list[checks.CheckMessage] = []
    if not queues:
        hint = 'Name them, so that workers know what to serve: "QUEUES": ["default"].'
        found.append(checks.Error(f"{where}: QUEUES is empty.", hint=hint, id="ferryman.E001"))
    for name in sorted(queues):
        try:
            check_queue_name(name)
        except FerrymanError as error:
            hint = "A queue's name is also the name of its TaskQueue in Kubernetes."
            found.append(checks.Error(f"{where}: QUEUES: {error}.", hint=hint, id="ferryman.E002"))
    for name in sorted(set(options) - set(OPTIONS)):
        hint = f"There are {', '.join(OPTIONS)}."
        found.append(checks.Error(f"{where}: OPTIONS has no {name!r}.", hint=hint, id="ferryman.E003"))
    if (url := options.get("redis_url")) is not None and (problem := _url_problem(url)):
        hint = "Write redis://host:6379/0, or leave it out and set FERRYMAN_REDIS_URL."
        found.append(checks.Error(f"{where}: redis_url: {problem}.", hint=hint, id="ferryman.E004"))
    try:
        task_options(options.get("max_attempts"), keep_result=options.get("keep_result"))
    except FerrymanError as error:
        hint = 'Write "max_attempts": 3 and "keep_result": "1h", or leave them out.'
        found.append(checks.Error(f"{where}: OPTIONS: {error}.", hint=hint, id="ferryman.E005"))
    return found


def _url_problem(url: object) -> str:
    """Never with the URL in it, which may hold a password."""
    if not isinstance(url, str):
        return "it is no text"
    try:
        SyncLink.from_url(url).close()
    except ValueError as error:
        return str(error).split("(", 1)[0].strip().rstrip(".")
    return ""
