"""Runs the API: settings -> app -> uvicorn, until SIGTERM or Ctrl-C; requests under way get ten seconds to end."""

from __future__ import annotations

import logging
import signal
import sys

import uvicorn

from ferryman.api.app import create_app
from ferryman.api.settings import ApiSettings
from ferryman.link import Link
from ferryman.settings import RedisSettings

_GRACE_S = 10
_REPLY_TIMEOUT_S = 5.0

_log = logging.getLogger("ferryman.api")


def serve(settings: ApiSettings, redis: RedisSettings) -> None:
    """Serves until it is stopped. Raises BadSetting."""
    app = create_app(
        settings, lambda: Link.from_url(redis.url, client_name="ferryman-api", reply_timeout_s=_REPLY_TIMEOUT_S)
    )
    guard = "a token is needed" if settings.has_token else "NO TOKEN IS NEEDED"
    _log.info(
        "serving http://%s:%d (docs at /docs), Redis at %s; %s", settings.host, settings.port, redis.safe_url, guard
    )
    # Uvicorn ends its work on SIGTERM and then raises it again; an orderly stop is exit code 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # What uvicorn says of its start and stop is said above; its errors stay.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
