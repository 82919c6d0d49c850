"""Schedules: what is enqueued when, in one queue."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ferryman.api.description import looking
from ferryman.api.services import QueueInPath, UsesServices
from ferryman.schedule_view import schedules_view
from ferryman.timetable import Timetable

router = APIRouter(prefix="/queues", tags=["queues"])


class ScheduleView(BaseModel):
    """A schedule. Times are RFC 3339 in UTC; what does not apply is null."""

    name: str
    task: str
    cron: str | None
    every_s: float | None = Field(description="The interval, when it has no cron line.")
    tz: str = Field(description="The time zone of the cron line.")
    dst: Literal["skip", "once", "twice"]
    misfire: Literal["skip", "latest", "all"]
    overlap: Literal["allow", "skip"]
    starting_deadline_s: float | None
    suspended: bool
    origin: Literal["code", "TaskSchedule"]
    args: dict[str, Any]
    last_fired_at: str | None = Field(description="The occurrence for which a task was enqueued last.")
    last_task: str | None = Field(description="The id of that task.")
    next_at: str | None


class ScheduleList(BaseModel):
    """The schedules of a queue, by name."""

    schedules: list[ScheduleView]


@router.get(
    "/{queue}/schedules",
    response_model=ScheduleList,
    responses=looking("invalid-request"),
    summary="The schedules of a queue",
)
async def list_schedules(queue: QueueInPath, services: UsesServices) -> dict[str, Any]:
    """Those in its code and those of TaskSchedule objects, with their last and next occurrence."""
    return {"schedules": schedules_view(await services.link.run(Timetable(queue).agree()))}
