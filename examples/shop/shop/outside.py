"""The world outside of the shop: mail, money, stock, parcels. Here it only writes to the log; tests bring their own."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shop.orders import Line

logger = logging.getLogger(__name__)


class CardDeclined(Exception):
    """The bank says no. Asking again won't change that."""


class OutOfStock(Exception):
    """Not now. There may be more tomorrow."""


class CarrierClosed(Exception):
    """Nobody takes parcels now."""

    def __init__(self, opens_in_s: float) -> None:
        super().__init__(f"the carrier opens in {opens_in_s:g} s")
        self.opens_in_s = opens_in_s


class Mail:
    """Sends letters. `key`: the same key twice is one letter."""

    async def send(self, to: str, subject: str, *, key: str) -> None:
        logger.info("mail to %s: %s (%s)", to, subject, key)

    def readers(self) -> list[str]:
        """Who wants the newsletter."""
        return ["ada@example.com", "grace@example.com", "edsger@example.org"]


class Bank:
    """Moves money. `key`: the same key twice is one payment."""

    async def charge(self, cents: int, *, key: str) -> None:
        logger.info("charged %d cents (%s)", cents, key)

    async def refund(self, cents: int, *, key: str) -> None:
        logger.info("refunded %d cents (%s)", cents, key)


class TiredBank(Bank):
    """Answers when it is asked a second time: so there is a retry to be seen."""

    def __init__(self) -> None:
        self._asked: set[str] = set()

    async def charge(self, cents: int, *, key: str) -> None:
        if key not in self._asked:
            self._asked.add(key)
            raise TimeoutError("the bank does not answer")
        await super().charge(cents, key=key)


class Stock:
    """An old library that blocks: its handlers run in threads."""

    def reserve(self, line: Line) -> None:
        logger.info("reserved %d of %s", line.count, line.sku)


class Carrier:
    """Takes parcels to people."""

    async def collect(self, order: int) -> str:
        return f"parcel-{order}"

    async def is_delivered(self, parcel: str) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Outside:
    """All of it: what every handler finds in `ctx.deps`."""

    mail: Mail
    bank: Bank
    stock: Stock
    carrier: Carrier


@asynccontextmanager
async def open_outside() -> AsyncGenerator[Outside]:
    """Once per worker process: open clients and pools here, and close them after the yield."""
    bank = TiredBank() if os.environ.get("SHOP_BANK") == "tired" else Bank()
    yield Outside(Mail(), bank, Stock(), Carrier())
