"""Links: run calls on Redis, alone or pipelined, from asyncio or from blocking code.

What is said to Redis is decided once, in `_Dialogue`; the two kinds of link differ only in how they wait.
A link loads a script when the server does not know it (a restart, a failover). It never resends by itself after a
broken connection: whether the call was applied is unknown, so the caller decides.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from time import perf_counter
from typing import Any, TypeVar
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from ferryman import scripts
from ferryman.call import Argument, Call
from ferryman.errors import BrokerError, BrokerRefused, BrokerUnavailable, QueueFull
from ferryman.round_trips import WatchTrips
from ferryman.wire import pool_from_url

T = TypeVar("T")

#: Codes of a server that is a replica, loading, failing over, or can't write its disk: it passes, and says nothing
#: of the call.
_NOT_NOW = ("READONLY", "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY ")

Words = tuple[Argument, ...]
#: Sends some commands in one round trip and gets their replies, errors in place.
Dialogue = Generator[Sequence[Words], list[Any], T]

#: Seconds to wait for a connection and for a reply. Scripts are bounded to milliseconds; BLMOVE sets its own.
CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 10.0


class Link:
    """An asyncio link. Safe for many coroutines at once; each call takes a connection of the pool."""

    def __init__(self, client: redis.asyncio.Redis, load: scripts.Load = scripts.load) -> None:
        self.client = client
        self.watch: WatchTrips | None = None  # is told of each answered round trip
        self._talk = _Talk(client, load)

    @classmethod
    def from_url(cls, url: str, *, client_name: str | None = None, reply_timeout_s: float = REPLY_TIMEOUT_S) -> Link:
        """Opens nothing yet. Raises ValueError when `url` is no redis://, rediss:// or unix:// URL."""
        options = _options(client_name, reply_timeout_s)
        pool = pool_from_url(url, retry=AsyncRetry(NoBackoff(), 0), **options)
        return cls(redis.asyncio.Redis.from_pool(pool))

    async def run(self, call: Call[T]) -> T:
        """Run one call. Raises BrokerUnavailable, QueueFull, BrokerRefused, or what the call's reader raises."""
        return await self._hold(self._talk.one(call))

    async def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Run calls in order in one round trip. A call that fails has its FerrymanError in its place.

        Raises BrokerUnavailable when the round trip itself fails; then any of them may have been applied.
        Calls whose scripts the server had lost run after the others, together.
        """
        return await self._hold(self._talk.many(calls))

    async def close(self) -> None:
        """Close the pool's connections."""
        await self.client.aclose()

    async def _hold(self, dialogue: Dialogue[T]) -> T:
        client: Any = self.client
        try:
            commands = next(dialogue)
            while True:
                started = perf_counter()
                try:
                    if len(commands) == 1:
                        replies = [await client.execute_command(*commands[0])]
                    else:
                        pipe = client.pipeline(transaction=False)
                        for words in commands:
                            pipe.execute_command(*words)
                        replies = await pipe.execute(raise_on_error=False)
                except (RedisError, OSError) as error:
                    replies = [error] * len(commands)
                else:
                    if self.watch is not None:
                        self.watch(perf_counter() - started)
                commands = dialogue.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result


class SyncLink:
    """A blocking link, for scripts, Django, and the heartbeat's child process."""

    def __init__(self, client: redis.Redis, load: scripts.Load = scripts.load) -> None:
        self.client = client
        self.watch: WatchTrips | None = None  # is told of each answered round trip
        self._talk = _Talk(client, load)

    @classmethod
    def from_url(
        cls, url: str, *, client_name: str | None = None, reply_timeout_s: float = REPLY_TIMEOUT_S
    ) -> SyncLink:
        """Opens nothing yet. Raises ValueError when `url` is no redis://, rediss:// or unix:// URL."""
        options = _options(client_name, reply_timeout_s)
        return cls(redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options))

    def run(self, call: Call[T]) -> T:
        """Run one call. Raises BrokerUnavailable, QueueFull, BrokerRefused, or what the call's reader raises."""
        return self._hold(self._talk.one(call))

    def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Run calls in order in one round trip. A call that fails has its FerrymanError in its place.

        Raises BrokerUnavailable when the round trip itself fails; then any of them may have been applied.
        """
        return self._hold(self._talk.many(calls))

    def close(self) -> None:
        """Close the pool's connections."""
        self.client.close()

    def _hold(self, dialogue: Dialogue[T]) -> T:
        client: Any = self.client
        try:
            commands = next(dialogue)
            while True:
                started = perf_counter()
                try:
                    if len(commands) == 1:
                        replies = [client.execute_command(*commands[0])]
                    else:
                        pipe = client.pipeline(transaction=False)
                        for words in commands:
                            pipe.execute_command(*words)
                        replies = pipe.execute(raise_on_error=False)
                except (RedisError, OSError) as error:
                    replies = [error] * len(commands)
                else:
                    if self.watch is not None:
                        self.watch(perf_counter() - started)
                commands = dialogue.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result


class _Talk:
    """What to say to one server, and what its answers mean."""

    def __init__(self, client: redis.Redis | redis.asyncio.Redis, load: scripts.Load) -> None:
        self._client = client
        self._load = load
        self._flags_known: bool | None = None  # does the server know `#!lua flags`? Learned at the first call.

    def one(self, call: Call[T]) -> Dialogue[T]:
        yield from self._learn()
        replies = yield self._commands(call)
        if isinstance(replies[0], NoScriptError):
            [replies] = yield from self._reloaded([call])
        return self._result(call, replies)

    def many(self, calls: Sequence[Call[Any]]) -> Dialogue[list[Any]]:
        if not calls:
            return []
        yield from self._learn()
        said = iter((yield [words for call in calls for words in self._commands(call)]))
        answers = [[next(said) for _ in self._commands(call)] for call in calls]
        lost = [place for place, replies in enumerate(answers) if isinstance(replies[0], NoScriptError)]
        if lost:
            again = yield from self._reloaded([calls[place] for place in lost])
            for place, replies in zip(lost, again, strict=True):
                answers[place] = replies
        results: list[Any] = []
        for call, replies in zip(calls, answers, strict=True):
            for reply in replies:
                if isinstance(reply, (ConnectionError, TimeoutError, OSError)):
                    raise translate(reply, self._client) from reply
            try:
                results.append(self._result(call, replies))
            except BrokerError as error:
                results.append(error)
        return results

    def _learn(self) -> Dialogue[None]:
        if self._flags_known is not None:
            return
        [reply] = yield [("EVAL", scripts.PROBE, 0)]
        if not isinstance(reply, Exception):
            self._flags_known = True
        elif isinstance(reply, ResponseError) and _cannot_compile(reply):
            self._flags_known = False
        else:
            raise translate(reply, self._client) from reply

    def _script(self, call: Call[Any]) -> scripts.Script:
        return self._load(call.script, bool(self._flags_known))

    def _commands(self, call: Call[Any]) -> list[Words]:
        return [self._words(call), call.then] if call.then else [self._words(call)]

    def _reloaded(self, calls: Sequence[Call[Any]]) -> Dialogue[list[list[Any]]]:
        """Their replies, after all their scripts were loaded: one round trip, however many calls it has hit."""
        loads: list[Words] = [("SCRIPT", "LOAD", text) for text in {self._script(call).text: None for call in calls}]
        said = iter((yield [*loads, *(words for call in calls for words in self._commands(call))])[len(loads) :])
        return [[next(said) for _ in self._commands(call)] for call in calls]

    def _words(self, call: Call[Any]) -> Words:
        if not call.script:
            return call.args
        return ("EVALSHA", self._script(call).sha, len(call.keys), *call.keys, *call.args)

    def _result(self, call: Call[T], replies: Sequence[Any]) -> T:
        first = replies[0]
        if isinstance(first, Exception):
            raise translate(first, self._client) from first
        if not call.then:
            return call.read(first)
        then = replies[1]
        return call.read((first, translate(then, self._client) if isinstance(then, Exception) else then))


def translate(error: Exception, client: redis.Redis | redis.asyncio.Redis) -> BrokerError:
    """The FerrymanError that says what a Redis or socket error means; the URL's password is never in it."""
    where = address(client)
    if isinstance(error, OutOfMemoryError) or (isinstance(error, ResponseError) and str(error).startswith("OOM")):
        return QueueFull(
            f"Redis at {where} is at its maxmemory: nothing was enqueued; let workers drain it, or give it memory"
        )
    if isinstance(error, AuthenticationError):
        return BrokerUnavailable(f"Redis at {where} refused the user or password: {error}")
    if isinstance(error, (ConnectionError, TimeoutError, OSError)):
        return BrokerUnavailable(f"Redis at {where} does not answer: {error}")
    if str(error).startswith("NOREPLICAS"):
        return BrokerUnavailable(
            f"Redis at {where} takes no writes now: fewer replicas are in step than its min-replicas-to-write asks "
            f"for. It takes them again when they are back; bring them back, or lower the setting ({error})"
        )
    if isinstance(error, ReadOnlyError) or str(error).startswith(_NOT_NOW):
        return BrokerUnavailable(f"Redis at {where} takes no writes now: {error}")
    return BrokerRefused(f"Redis at {where}: {error}")


def address(client: redis.Redis | redis.asyncio.Redis) -> str:
    """host:port/db of a client, or its socket's path; without credentials."""
    options = client.connection_pool.connection_kwargs
    if "path" in options:
        return str(options["path"])
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db', 0)}"


def without_credentials(url: str) -> str:
    """`url` as it may appear in a log."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host).geturl()


def _options(client_name: str | None, reply_timeout_s: float) -> dict[str, Any]:
    return {
        "client_name": client_name,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": reply_timeout_s,
        "socket_keepalive": True,
        "protocol": 2,
    }


def _cannot_compile(error: ResponseError) -> bool:
    """A server that knows no flags trips over the first character; anything else (NOAUTH, LOADING) is a failure."""
    text = str(error).lower()
    return any(sign in text for sign in ("compiling", "syntax", "unexpected symbol"))
