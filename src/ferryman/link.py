"""Links: run calls on Redis, alone or pipelined, from asyncio or from blocking code.

What is said to Redis is decided once, in `_Dialogue`; the two kinds of link differ only in how they wait.
A link loads a script when the server does not know it (a restart, a failover). It never resends by itself after a
broken connection: whether the call was applied is unknown, so the caller decides.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from ferryman import scripts
from ferryman.call import Argument, Call
from ferryman.errors import BrokerError
from ferryman.redis_address import RedisAddress
from ferryman.refusals import cannot_compile, is_lost, translate, turns_away
from ferryman.round_trips import WatchTrips
from ferryman.sync_connection import SyncPool
from ferryman.wire import Refusal

if TYPE_CHECKING:
    from ferryman.connection import Pool
    from ferryman.redis_client import AsyncClient, BlockingClient

T = TypeVar("T")

Words = tuple[Argument, ...]
#: Sends some commands in one round trip and gets their replies, errors in place.
Dialogue = Generator[Sequence[Words], list[Any], T]

#: Seconds to wait for a connection and for a reply. Scripts are bounded to milliseconds; BLMOVE sets its own.
CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 10.0


class Link:
    """An asyncio link. Safe for many coroutines at once; each call takes a connection of the pool."""

    def __init__(self, client: Any, load: scripts.Load = scripts.load) -> None:
        self.client = client  # a Pool, or a client of redis-py's kind
        self.watch: WatchTrips | None = None  # is told of each answered round trip
        self._pool = client if isinstance(client, _pool_kind()) else _borrowed(client)
        self.address = str(self._pool.address)  # without credentials
        self._talk = _Talk(self.address, load)

    @classmethod
    def from_url(cls, url: str, *, client_name: str | None = None, reply_timeout_s: float = REPLY_TIMEOUT_S) -> Link:
        """Opens nothing yet. Raises ValueError when `url` is no redis://, rediss:// or unix:// URL."""
        return cls(
            _pool_kind()(
                RedisAddress.from_url(url),
                client_name=client_name,
                connect_timeout_s=CONNECT_TIMEOUT_S,
                reply_timeout_s=reply_timeout_s,
            )
        )

    async def run(self, call: Call[T]) -> T:
        """Run one call. Raises BrokerUnavailable, QueueFull, BrokerRefused, or what the call's reader raises."""
        talk = self._talk
        if not talk.has_learnt:
            return await self._hold(talk.one(call))
        # The common case, without a dialogue.
        replies = await self._say(talk.commands(call))
        if not (call.then or isinstance(replies[0], Exception)):
            return call.read(replies[0])
        if is_lost(replies[0]):
            return await self._hold(talk.reloading(call))
        return talk.result(call, replies)

    async def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Run calls in order in one round trip. A call that fails has its FerrymanError in its place.

        Raises BrokerUnavailable when the round trip itself fails; then any of them may have been applied.
        Calls whose scripts the server had lost run after the others, together.
        """
        return await self._hold(self._talk.many(calls))

    async def close(self) -> None:
        """Close the pool's connections."""
        await self._pool.close()

    async def _hold(self, dialogue: Dialogue[T]) -> T:
        try:
            commands = next(dialogue)
            while True:
                commands = dialogue.send(await self._say(commands))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _say(self, commands: Sequence[Words]) -> list[Any]:
        started = perf_counter()
        try:
            replies = await self._pool.exchange(commands)
        except OSError as error:
            return [error] * len(commands)
        if self.watch is not None:
            self.watch(perf_counter() - started)
        return replies


class SyncLink:
    """A blocking link, for scripts, Django, and the heartbeat's child process."""

    def __init__(self, client: Any, load: scripts.Load = scripts.load) -> None:
        self.client = client  # a SyncPool, or a client of redis-py's kind
        self.watch: WatchTrips | None = None  # is told of each answered round trip
        self._pool = client if isinstance(client, SyncPool) else _borrowed_blocking(client)
        self.address = str(self._pool.address)  # without credentials
        self._talk = _Talk(self.address, load)

    @classmethod
    def from_url(
        cls, url: str, *, client_name: str | None = None, reply_timeout_s: float = REPLY_TIMEOUT_S
    ) -> SyncLink:
        """Opens nothing yet. Raises ValueError when `url` is no redis://, rediss:// or unix:// URL."""
        return cls(
            SyncPool(
                RedisAddress.from_url(url),
                client_name=client_name,
                connect_timeout_s=CONNECT_TIMEOUT_S,
                reply_timeout_s=reply_timeout_s,
            )
        )

    def run(self, call: Call[T], meanwhile: Callable[[], None] | None = None) -> T:
        """Run one call, and `meanwhile` while Redis works on it: that must bear to be done again, and must not raise.

        Raises BrokerUnavailable, QueueFull, BrokerRefused, or what the call's reader raises.
        """
        talk = self._talk
        if not talk.has_learnt:
            return self._hold(talk.one(call), meanwhile)
        # The common case, without a dialogue.
        replies = self._say(talk.commands(call), meanwhile)
        if not (call.then or isinstance(replies[0], Exception)):
            return call.read(replies[0])
        if is_lost(replies[0]):
            return self._hold(talk.reloading(call))
        return talk.result(call, replies)

    def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Run calls in order in one round trip. A call that fails has its FerrymanError in its place.

        Raises BrokerUnavailable when the round trip itself fails; then any of them may have been applied.
        """
        return self._hold(self._talk.many(calls))

    def close(self) -> None:
        """Close the pool's connections."""
        self._pool.close()

    def _hold(self, dialogue: Dialogue[T], meanwhile: Callable[[], None] | None = None) -> T:
        try:
            commands = next(dialogue)
            while True:
                commands = dialogue.send(self._say(commands, meanwhile))
        except StopIteration as end:
            result: T = end.value
            return result

    def _say(self, commands: Sequence[Words], meanwhile: Callable[[], None] | None) -> list[Any]:
        started = perf_counter()
        try:
            replies = self._pool.exchange(commands, meanwhile)
        except OSError as error:
            return [error] * len(commands)
        if self.watch is not None:
            self.watch(perf_counter() - started)
        return replies


class _Talk:
    """What to say to one server, and what its answers mean."""

    def __init__(self, address: str, load: scripts.Load) -> None:
        self._address = address
        self._load = load
        self.has_learnt = False  # whether anything can be said at once
        self._flags_known = False  # does the server know `#!lua flags`? Learned at the first call.

    def one(self, call: Call[T]) -> Dialogue[T]:
        yield from self._learn()
        replies = yield self.commands(call)
        if is_lost(replies[0]):
            return (yield from self.reloading(call))
        return self.result(call, replies)

    def reloading(self, call: Call[T]) -> Dialogue[T]:
        """A call whose script the server does not know."""
        [replies] = yield from self._reloaded([call])
        return self.result(call, replies)

    def many(self, calls: Sequence[Call[Any]]) -> Dialogue[list[Any]]:
        if not calls:
            return []
        yield from self._learn()
        said = iter((yield [words for call in calls for words in self.commands(call)]))
        answers = [[next(said) for _ in self.commands(call)] for call in calls]
        lost = [place for place, replies in enumerate(answers) if is_lost(replies[0])]
        if lost:
            again = yield from self._reloaded([calls[place] for place in lost])
            for place, replies in zip(lost, again, strict=True):
                answers[place] = replies
        results: list[Any] = []
        for call, replies in zip(calls, answers, strict=True):
            for reply in replies:
                if isinstance(reply, OSError) or (isinstance(reply, Refusal) and turns_away(reply)):
                    raise translate(reply, self._address) from reply
            try:
                results.append(self.result(call, replies))
            except BrokerError as error:
                results.append(error)
        return results

    def _learn(self) -> Dialogue[None]:
        if self.has_learnt:
            return
        [reply] = yield [("EVAL", scripts.PROBE, 0)]
        if not isinstance(reply, Exception):
            self._flags_known = True
        elif not (isinstance(reply, Refusal) and cannot_compile(reply)):
            raise translate(reply, self._address) from reply
        self.has_learnt = True

    def commands(self, call: Call[Any]) -> list[Words]:
        words: Words = call.args
        if call.script:
            words = ("EVALSHA", self._load(call.script, self._flags_known).sha, len(call.keys), *call.keys, *call.args)
        return [words, call.then] if call.then else [words]

    def _reloaded(self, calls: Sequence[Call[Any]]) -> Dialogue[list[list[Any]]]:
        """Their replies, after all their scripts were loaded: one round trip, however many calls it has hit."""
        texts = {self._load(call.script, self._flags_known).text: None for call in calls}
        loads: list[Words] = [("SCRIPT", "LOAD", text) for text in texts]
        said = iter((yield [*loads, *(words for call in calls for words in self.commands(call))])[len(loads) :])
        return [[next(said) for _ in self.commands(call)] for call in calls]

    def result(self, call: Call[T], replies: Sequence[Any]) -> T:
        first = replies[0]
        if isinstance(first, Exception):
            raise translate(first, self._address) from first
        if not call.then:
            return call.read(first)
        then = replies[1]
        return call.read((first, translate(then, self._address) if isinstance(then, Exception) else then))


def _pool_kind() -> type[Pool]:
    from ferryman.connection import Pool  # brings asyncio: a third of all that a beat child or a command would load

    return Pool


def _borrowed(client: Any) -> AsyncClient:
    from ferryman.redis_client import AsyncClient

    return AsyncClient(client)


def _borrowed_blocking(client: Any) -> BlockingClient:
    from ferryman.redis_client import BlockingClient

    return BlockingClient(client)
