"""/docs: the OpenAPI document as one page for people."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ferryman.api.docs_page import SECURITY_POLICY, page_of

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Without a script and without anything from elsewhere: it works where there is no internet."""
    headers = {"Content-Security-Policy": SECURITY_POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(page_of(request.app.openapi()), media_type="text/html", headers=headers)
