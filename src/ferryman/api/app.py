"""Builds the app: routes, and around them from the outside in: metrics, CORS, guards, token, body limit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from ferryman import __version__
from ferryman.api import problems
from ferryman.api.auth import BearerAuth, Tokens
from ferryman.api.description import DESCRIPTION, PROBLEMS, DescribedApp
from ferryman.api.intake import Intake
from ferryman.api.limits import BodyLimit, JsonOnly, LoopbackGuard, OriginGuard
from ferryman.api.metrics import ApiMetrics, Measured
from ferryman.api.routes import health, queues, tasks
from ferryman.api.services import Services
from ferryman.api.settings import ApiSettings
from ferryman.link import Link


def create_app(settings: ApiSettings, connect: Callable[[], Link]) -> FastAPI:
    """The ASGI app. `connect` is called when it starts, inside its event loop. Raises BadSetting."""
    metrics = ApiMetrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        link = connect()
        app.state.services = Services(link, Intake(link, metrics), metrics)
        try:
            yield
        finally:
            await link.close()

    app = DescribedApp(
        title="Ferryman",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        middleware=_layers(settings, metrics),
        redoc_url=None,
    )
    problems.install(app)
    # Declares the token in OpenAPI; BearerAuth is what asks for it, before a body is read.
    token = [Depends(HTTPBearer(auto_error=False))] if settings.has_token else []
    for router in (tasks.router, queues.router):
        app.include_router(router, dependencies=token, responses=PROBLEMS)
    app.include_router(health.router)
    return app


def _layers(settings: ApiSettings, metrics: ApiMetrics) -> list[Middleware]:
    layers = [Middleware(Measured, metrics=metrics)]
    if settings.origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.origins,
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Authorization", "Content-Type", "X-Grafana-Action", "Idempotency-Key"],
                expose_headers=["Retry-After"],
            )
        )
    layers.append(Middleware(OriginGuard, origins=frozenset(settings.origins)))
    if settings.has_token:
        layers.append(Middleware(BearerAuth, tokens=Tokens(settings)))
    elif not settings.insecure:
        layers.append(Middleware(LoopbackGuard))
    layers.append(Middleware(JsonOnly))
    layers.append(Middleware(BodyLimit, limit=settings.body_limit_bytes))
    return layers
