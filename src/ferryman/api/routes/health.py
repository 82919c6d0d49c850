"""Probes and the scrape; these need no token."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from ferryman.api.description import Responses, answers
from ferryman.api.schema import Health
from ferryman.api.services import UsesServices
from ferryman.call import command
from ferryman.errors import BrokerUnavailable

router = APIRouter(tags=["health"])

_SCRAPE: Responses = {
    200: {
        "description": "Prometheus' text format.",
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": 'ferryman_enqueued_total{queue="emails"} 48.0'}
        },
    }
}
_READY_WITHIN_S = 2.0


@router.get("/livez", summary="Does the process answer?")
async def livez() -> Health:
    """Does not look at Redis: a lost Redis is no reason to restart the API."""
    return Health(status="ok")


@router.get("/readyz", responses=answers("redis-unavailable"), summary="Can it take tasks?")
async def readyz(services: UsesServices) -> Health:
    """503 while Redis does not answer."""
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            await services.link.run(command("PING", read=bool))
    except TimeoutError as error:
        raise BrokerUnavailable(f"Redis did not answer within {_READY_WITHIN_S:.0f} s") from error
    return Health(status="ok")


@router.get("/metrics", summary="Prometheus metrics", response_class=Response, responses=_SCRAPE)
async def metrics(services: UsesServices) -> Response:
    """The API's own metrics; those of queues come from the operator."""
    body, content_type = services.metrics.render()
    return Response(body, media_type=content_type)


@router.get("/", include_in_schema=False)
async def index() -> dict[str, str]:
    """For a person who opens the address."""
    return {"service": "ferryman", "docs": "/docs", "openapi": "/openapi.json"}
