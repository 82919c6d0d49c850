"""The API inside the test's own process, on an empty fake Redis: for what is decided before Redis matters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fakeredis import FakeAsyncRedis, FakeServer

from ferryman.api.app import create_app
from ferryman.api.settings import ApiSettings
from ferryman.link import Link

GRAFANA = "https://grafana.example.com"
TASK = {"queue": "emails", "task": "send"}


@asynccontextmanager
async def serve(host: str = "127.0.0.1:8000", **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API with these settings, at the address `host`."""
    app = create_app(ApiSettings(**settings), lambda: Link(FakeAsyncRedis(server=FakeServer())))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client,
    ):
        yield client


def problem_of(response: httpx.Response) -> str:
    """The kind of problem, after checking that the document is one."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"]
    return str(problem["type"]).removeprefix("urn:ferryman:problem:")
