"""Probes and the scrape; these need no token."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from ferryman.api.schema import ProblemReply
from ferryman.api.services import UsesServices
from ferryman.call import command
from ferryman.errors import BrokerUnavailable

router = APIRouter(tags=["health"])

_AWAY: dict[int | str, dict[str, Any]] = {503: {"model": ProblemReply, "description": "Redis does not answer."}}
_READY_WITHIN_S = 2.0


@router.get("/livez", summary="Does the process answer?")
async def livez() -> dict[str, str]:
    """Does not look at Redis: a lost Redis is no reason to restart the API."""
    return {"status": "ok"}


@router.get("/readyz", responses=_AWAY, summary="Can it take tasks?")
async def readyz(services: UsesServices) -> dict[str, str]:
    """503 while Redis does not answer."""
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            await services.link.run(command("PING", read=bool))
    except TimeoutError as error:
        raise BrokerUnavailable(f"Redis did not answer within {_READY_WITHIN_S:.0f} s") from error
    return {"status": "ok"}


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(services: UsesServices) -> Response:
    """The API's own metrics; those of queues come from the operator."""
    body, content_type = services.metrics.render()
    return Response(body, media_type=content_type)


@router.get("/", include_in_schema=False)
async def index() -> dict[str, str]:
    """For a person who opens the address."""
    return {"service": "ferryman", "docs": "/docs", "openapi": "/openapi.json"}
