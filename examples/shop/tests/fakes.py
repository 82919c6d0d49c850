"""Stand-ins for the world outside: they keep what was asked of them."""

from __future__ import annotations

from shop.orders import Line
from shop.outside import Bank, Carrier, CarrierClosed, Mail, OutOfStock, Outside, Stock


class FakeMail(Mail):
    """Keeps what was sent, by its key."""

    def __init__(self) -> None:
        self.sent: dict[str, tuple[str, str]] = {}

    async def send(self, to: str, subject: str, *, key: str) -> None:
        self.sent[key] = (to, subject)

    def readers(self) -> list[str]:
        return ["ada@example.com", "bob@example.org"]


class FakeBank(Bank):
    """Keeps payments by their key; `problems` are raised first, one per call."""

    def __init__(self) -> None:
        self.payments: dict[str, int] = {}
        self.problems: list[Exception] = []

    async def charge(self, cents: int, *, key: str) -> None:
        if self.problems:
            raise self.problems.pop(0)
        self.payments[key] = cents

    async def refund(self, cents: int, *, key: str) -> None:
        self.payments[key] = -cents


class FakeStock(Stock):
    """Has so many pieces of each article."""

    def __init__(self) -> None:
        self.pieces: dict[str, int] = {}

    def reserve(self, line: Line) -> None:
        if self.pieces.get(line.sku, 0) < line.count:
            raise OutOfStock(line.sku)
        self.pieces[line.sku] -= line.count


class FakeCarrier(Carrier):
    """`opens_in_s` above 0 = closed. `delivered`: answers to the next questions, then yes."""

    def __init__(self) -> None:
        self.opens_in_s = 0.0
        self.delivered: list[bool] = []

    async def collect(self, order: int) -> str:
        if self.opens_in_s:
            raise CarrierClosed(self.opens_in_s)
        return f"parcel-{order}"

    async def is_delivered(self, parcel: str) -> bool:
        return self.delivered.pop(0) if self.delivered else True


class World:
    """The outside of one test."""

    def __init__(self) -> None:
        self.mail = FakeMail()
        self.bank = FakeBank()
        self.stock = FakeStock()
        self.carrier = FakeCarrier()

    def outside(self) -> Outside:
        """What handlers find in `ctx.deps`."""
        return Outside(self.mail, self.bank, self.stock, self.carrier)
