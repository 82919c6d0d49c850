"""Builds the app: routes, and around them from the outside in: metrics, CORS, guards, rate, token, body limit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.middleware import Middleware
from starlette.types import Scope

from ferryman import __version__
from ferryman.api import problems
from ferryman.api.auth import BearerAuth, token_of
from ferryman.api.cors import Cors
from ferryman.api.description import DESCRIPTION, DescribedApp
from ferryman.api.intake import Intake
from ferryman.api.limits import BodyLimit, JsonOnly, LoopbackGuard, OriginGuard
from ferryman.api.metrics import ApiMetrics, Measured
from ferryman.api.rate import Buckets, RateLimit, address_of
from ferryman.api.routes import docs, health, queues, schedules, tasks, workflows
from ferryman.api.services import Services
from ferryman.api.settings import ApiSettings
from ferryman.api.tokens import Tokens
from ferryman.link import Link


def create_app(settings: ApiSettings, connect: Callable[[], Link]) -> FastAPI:
    """The ASGI app. `connect` is called when it starts, inside its event loop. Raises BadSetting."""
    metrics = ApiMetrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        link = connect()
        link.watch = metrics.round_trip
        app.state.services = Services(link, Intake(link, metrics, settings.wait), metrics)
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
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(app)
    # Declares the token in OpenAPI; BearerAuth is what asks for it, before a body is read.
    token = [Depends(HTTPBearer(auto_error=False))] if settings.has_token else []
    for router in (tasks.router, workflows.router, queues.router, schedules.router):
        app.include_router(router, dependencies=token)
    app.include_router(health.router)
    app.include_router(docs.router)
    return app


def _layers(settings: ApiSettings, metrics: ApiMetrics) -> list[Middleware]:
    tokens = Tokens(settings)
    layers = [Middleware(Measured, metrics=metrics)]
    if settings.origins:
        layers.append(Middleware(Cors, origins=frozenset(settings.origins)))
    layers.append(Middleware(OriginGuard, origins=frozenset(settings.origins)))
    if settings.rate_per_s:
        buckets = Buckets(settings.rate_per_s, settings.rate_burst)
        layers.append(Middleware(RateLimit, buckets=buckets, client_of=_client_by(tokens)))
    if settings.has_token:
        layers.append(Middleware(BearerAuth, tokens=tokens))
    elif not settings.insecure:
        layers.append(Middleware(LoopbackGuard))
    layers.append(Middleware(JsonOnly))
    layers.append(Middleware(BodyLimit, limit=settings.body_limit_bytes))
    return layers


def _client_by(tokens: Tokens) -> Callable[[Scope], Hashable]:
    """Who sends: an accepted token; whoever guesses tokens is known by the address, whatever it sends."""

    def client_of(scope: Scope) -> Hashable:
        token = token_of(scope)
        return token if tokens.scopes(token) else address_of(scope)

    return client_of
