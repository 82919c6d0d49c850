"""What routes work with: made when the app starts, and handed to them by FastAPI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Path, Request

from ferryman.api.intake import Intake
from ferryman.api.metrics import ApiMetrics
from ferryman.api.problems import invalid
from ferryman.api.schema import ID_PATTERN, QUEUE_PATTERN
from ferryman.errors import InvalidTask
from ferryman.link import Link
from ferryman.task import check_queue_name, check_task_id


@dataclass(frozen=True, slots=True)
class Services:
    """One of each, for the life of the app."""

    link: Link
    intake: Intake
    metrics: ApiMetrics


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


_QueuePath = Path(description="The queue's name.", examples=["emails"], json_schema_extra={"pattern": QUEUE_PATTERN})
_IdPath = Path(description="The task's id.", examples=["welcome-42"], json_schema_extra={"pattern": ID_PATTERN})


def _queue(queue: Annotated[str, _QueuePath]) -> str:
    return _checked(check_queue_name, "/queue", queue)


def _task_id(id: Annotated[str, _IdPath]) -> str:
    return _checked(check_task_id, "/id", id)


def _checked(check: Any, pointer: str, value: str) -> str:
    try:
        check(value)
    except InvalidTask as error:
        raise invalid(pointer, error.message) from error
    return value


UsesServices = Annotated[Services, Depends(_services)]
QueueInPath = Annotated[str, Depends(_queue)]
TaskIdInPath = Annotated[str, Depends(_task_id)]
