"""How the API describes itself in OpenAPI."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from ferryman.api.problems import CONTENT_TYPE
from ferryman.api.schema import ProblemReply

DESCRIPTION: Final = """
Put tasks into Ferryman's queues, look at them and manage them, from any language.

Every error is an `application/problem+json` document (RFC 9457) whose `type` says what kind it is and whose `detail`
says what to do. A 503 carries `Retry-After`; with an id or an `Idempotency-Key` it is always safe to send again.
"""

#: What any route but the probes may answer.
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": ProblemReply, "description": "The bearer token is missing or not valid."},
    403: {"model": ProblemReply, "description": "A page of an origin that is not configured."},
    413: {"model": ProblemReply, "description": "The body is too large."},
    415: {"model": ProblemReply, "description": "The body does not say that it is JSON."},
    422: {"model": ProblemReply, "description": "Something in the request is wrong; the detail names it."},
    503: {"model": ProblemReply, "description": "Redis is away or full; try again after `Retry-After` seconds."},
}


class DescribedApp(FastAPI):
    """FastAPI declares every answer as application/json; here errors are problem documents."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        for methods in document["paths"].values():
            for operation in methods.values():
                for status, response in operation["responses"].items():
                    content = response.get("content", {})
                    if int(status) >= 400 and "application/json" in content:
                        content[CONTENT_TYPE] = content.pop("application/json")
        return document
