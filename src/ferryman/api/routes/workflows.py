"""Workflows: look at one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from ferryman.api.description import looking
from ferryman.api.problems import Problem
from ferryman.api.services import QueueInPath, UsesServices
from ferryman.api.task_replies import WorkflowReply
from ferryman.plan import run_plan_async
from ferryman.workflow_view import workflow_of

router = APIRouter(tags=["workflows"])

FLOW_PATTERN = "^[A-Za-z0-9_.-]{1,80}$"


@router.get(
    "/workflows/{queue}/{id}",
    response_model=WorkflowReply,
    responses=looking("workflow-not-found", "invalid-request"),
    summary="Look at a workflow",
)
async def show(
    queue: QueueInPath,
    flow: Annotated[
        str, Path(alias="id", pattern=FLOW_PATTERN, description="The workflow's id.", examples=["order-42"])
    ],
    services: UsesServices,
) -> dict[str, Any]:
    """Its nodes, what each waits for, and their states."""
    found = await run_plan_async(services.link, workflow_of(queue, flow))
    if found is None:
        detail = (
            f"{queue} knows no workflow {flow}: it was never sent, or it has ended and its kept status has expired."
        )
        raise Problem(404, "workflow-not-found", detail)
    return found.to_json_dict()
