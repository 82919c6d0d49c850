"""`ferryman api`: serve the HTTP API."""

from __future__ import annotations

import os

import click

from ferryman.cli.failure import require
from ferryman.cli.options import redis_option
from ferryman.settings import RedisSettings


@click.command()
@click.option("--host", help="Address to listen on. Default: $FERRYMAN_API_HOST, then 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port. Default: $FERRYMAN_API_PORT, then 8000.")
@click.option(
    "--insecure", is_flag=True, help="Serve other machines although there is no token. Anyone can then do anything."
)
@redis_option
def api(host: str | None, port: int | None, insecure: bool, redis_url: str | None) -> None:
    """Serve the HTTP API: enqueue, look at and manage tasks from any language.

    The bearer token comes from the file in $FERRYMAN_API_TOKEN_FILE (read again when it changes) or from
    $FERRYMAN_API_TOKEN; those in $FERRYMAN_API_ENQUEUE_TOKEN_FILE may only add tasks, those in
    $FERRYMAN_API_READ_TOKEN_FILE only look. Without any only this machine is served. Browsers on other origins are
    let in when $FERRYMAN_API_ORIGINS lists them. $FERRYMAN_API_RATE_PER_S limits the requests of one token. With
    $FERRYMAN_WAIT_REPLICAS a POST of tasks waits until so many replicas of Redis have confirmed them. The API
    describes itself at /docs and /openapi.json.

    \b
    Example:
      ferryman api --port 8000
      curl localhost:8000/tasks -H 'Content-Type: application/json' \\
        -d '{"queue": "emails", "task": "send", "args": {"to": "a@example.com", "subject": "hi"}}'
    """
    require("api", "api", "fastapi", "uvicorn", "prometheus_client")
    from ferryman import logs
    from ferryman.api.server import serve
    from ferryman.api.settings import ApiSettings

    logs.configure_from_env(os.environ)
    serve(ApiSettings.from_env(os.environ, host, port, insecure), RedisSettings.from_env(os.environ, redis_url))
