"""Connection: the link to Redis that all loops use; it says once that Redis is away, and once that it is back.

A mounted Secret that was rotated names another password or host; the next failure reads it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ferryman.errors import BrokerUnavailable
from ferryman.link import Link
from ferryman.round_trips import WatchTrips
from ferryman.settings import BadSetting, RedisSettings

logger = logging.getLogger(__name__)

_CLIENT_NAME = "ferryman-scheduler"

#: Every call is bounded and takes milliseconds. A connection that is half open must not hold up recovery for longer.
_REPLY_TIMEOUT_S = 3.0


class Connection:
    """Holds a link. `read_settings` is asked again whenever Redis did not answer; `watch` hears of its round trips.

    Opens nothing yet. Raises ValueError when the URL is none.
    """

    def __init__(self, read_settings: Callable[[], RedisSettings], watch: WatchTrips | None = None) -> None:
        self._read_settings = read_settings
        self._watch = watch
        self._settings = read_settings()
        self._away = False
        self.link = _connect(self._settings, watch)

    async def lost(self, error: BrokerUnavailable) -> None:
        """A call was not answered."""
        if not self._away:
            self._away = True
            logger.error("waiting for Redis: %s", error)
        await self.renew()

    def answered(self) -> None:
        """A call was answered."""
        if self._away:
            self._away = False
            logger.info("Redis answers again")

    async def renew(self) -> None:
        """Use the URL that the settings name now, if it is another one."""
        try:
            settings = self._read_settings()
            if settings == self._settings:
                return
            link = _connect(settings, self._watch)
        except (BadSetting, ValueError) as error:
            logger.warning("the Redis URL cannot be read again: %s", error)
            return
        old, self.link, self._settings = self.link, link, settings
        logger.info("Redis is now %s", settings.safe_url)
        await old.close()

    async def close(self) -> None:
        """Close the link."""
        await self.link.close()


def _connect(settings: RedisSettings, watch: WatchTrips | None) -> Link:
    link = Link.from_url(settings.url, client_name=_CLIENT_NAME, reply_timeout_s=_REPLY_TIMEOUT_S)
    link.watch = watch
    return link
