"""Connections on a real server: how they are opened and shared, and what becomes of one that fails or is given up."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ferryman.call import Call, command
from ferryman.connection import CONNECTIONS_AT_MOST
from ferryman.errors import BrokerUnavailable
from ferryman.inspector import Inspector
from ferryman.link import Link, SyncLink

Start = Callable[..., Any]

ME = command("CLIENT", "ID", read=int)
GET = command("GET", "k", read=lambda reply: reply)


def kill(number: int) -> Call[bool]:
    """What an administrator, or Redis' own `timeout`, does to a connection."""
    return command("CLIENT", "KILL", "ID", number, read=bool)


async def both(url: str, call: Call[Any], **options: Any) -> list[Any]:
    """What both kinds of link say to a call."""
    link, blocking = Link.from_url(url, **options), SyncLink.from_url(url, **options)
    try:
        return [await link.run(call), await asyncio.to_thread(blocking.run, call)]
    finally:
        await link.close()
        blocking.close()


async def test_a_connection_has_its_database_and_its_name(redis_url: str) -> None:
    told = await both(
        redis_url.removesuffix("/0") + "/5", command("CLIENT", "INFO", read=bytes), client_name="ferryman-test"
    )
    assert all(b" db=5 " in one and b" name=ferryman-test " in one for one in told)


async def test_users_and_passwords_are_presented_and_refusals_say_so(start_redis: Start) -> None:
    server = start_redis("--requirepass", "open sesame")
    url = server.url.replace("redis://", "redis://:open%20sesame@")
    async with opened(url) as admin:
        await admin.run(command("ACL", "SETUSER", "mail", "on", ">safe", "+@all", "~*", read=bool))
    assert (
        await both(server.url.replace("redis://", "redis://mail:safe@"), command("ACL", "WHOAMI", read=bytes))
        == [b"mail"] * 2
    )
    for wrong in (server.url, server.url.replace("redis://", "redis://mail:wrong@")):
        with pytest.raises(BrokerUnavailable, match="refused the user or password") as met:
            await both(wrong, Inspector("q").stats())
        assert "wrong" not in str(met.value)


async def test_a_name_that_an_acl_forbids_is_done_without(start_redis: Start) -> None:
    server = start_redis()
    async with opened(server.url) as admin:
        rules = ("on", ">safe", "+@all", "-client|setname", "~*")
        await admin.run(command("ACL", "SETUSER", "mail", *rules, read=bool))
    url = server.url.replace("redis://", "redis://mail:safe@")
    assert await both(url, GET, client_name="ferryman-worker") == [None, None]


async def test_a_database_that_is_not_there_is_unavailable(redis_url: str) -> None:
    for call in (GET, Inspector("q").stats()):
        with pytest.raises(BrokerUnavailable, match="out of range"):
            await both(redis_url.removesuffix("/0") + "/9999", call)


async def test_a_server_full_of_clients_is_unavailable(start_redis: Start) -> None:
    server = start_redis()
    async with opened(server.url) as admin:
        await admin.run(command("CONFIG", "SET", "maxclients", 1, read=bool))
        with pytest.raises(BrokerUnavailable):
            await both(server.url, GET)


async def test_a_unix_socket_is_as_good(start_redis: Start, tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    start_redis("--unixsocket", str(path))
    assert await both(f"unix://{path}?db=1", GET, client_name="ferryman-test") == [None, None]


async def test_tls_checks_who_answers(redis_url: str, certificate: Path) -> None:
    async with tls_before(redis_url, certificate) as port:
        url = f"rediss://localhost:{port}/2?ssl_ca_certs={certificate}"
        assert await both(url, GET, client_name="ferryman-test") == [None, None]
        assert await both(f"rediss://localhost:{port}?ssl_cert_reqs=none", GET) == [None, None]
        blocking = SyncLink.from_url(url)  # what TLS itself says on an idle connection does not end it
        first, second = await asyncio.to_thread(lambda: (blocking.run(ME), blocking.run(ME)))
        assert first == second
        blocking.close()
        with pytest.raises(BrokerUnavailable, match="certificate"):
            await both(f"rediss://localhost:{port}", GET)
        with pytest.raises(BrokerUnavailable, match="certificate"):  # of another name
            await both(url.replace("localhost", "127.0.0.1"), GET)


async def test_certificates_are_read_once_for_all_connections_of_a_link(redis_url: str, certificate: Path) -> None:
    async with tls_before(redis_url, certificate) as port:
        copy = certificate.with_name("copy.pem")
        copy.write_bytes(certificate.read_bytes())
        blocking = SyncLink.from_url(f"rediss://localhost:{port}?ssl_ca_certs={copy}")
        first = await asyncio.to_thread(blocking.run, ME)
        copy.unlink()
        blocking.close()  # what is idle: the link may be used again
        assert await asyncio.to_thread(blocking.run, ME) != first
        blocking.close()


async def test_a_connection_that_was_closed_while_idle_is_replaced(redis_url: str, real_link: Link) -> None:
    link, blocking = Link.from_url(redis_url), SyncLink.from_url(redis_url)
    mine, its = await link.run(ME), await asyncio.to_thread(blocking.run, ME)
    await real_link.run_all([kill(mine), kill(its)])
    await asyncio.sleep(0)  # the loop hears of it in a turn of its own
    async with asyncio.timeout(10):
        while (again := await link.run(ME)) == mine:
            await asyncio.sleep(0.01)
    assert again not in (mine, its)
    assert await asyncio.to_thread(blocking.run, ME) not in (mine, its)
    await link.close()
    blocking.close()


async def test_a_reply_that_nobody_waits_for_any_more_reaches_nobody_else(redis_url: str, real_link: Link) -> None:
    link = Link.from_url(redis_url)
    mine = await link.run(ME)
    waits = asyncio.create_task(link.run(command("BLPOP", "list", 30, read=lambda reply: reply)))
    await blocked(real_link, 1)
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    await blocked(real_link, 0)
    assert await link.run(GET) is None
    assert await link.run(ME) != mine
    await link.close()


async def test_a_late_reply_is_given_up_and_its_connection_with_it(redis_url: str) -> None:
    for link in (Link.from_url(redis_url, reply_timeout_s=0.3), SyncLink.from_url(redis_url, reply_timeout_s=0.3)):

        async def run(call: Call[Any], link: Link | SyncLink = link) -> Any:
            return await link.run(call) if isinstance(link, Link) else await asyncio.to_thread(link.run, call)

        mine = await run(ME)
        with pytest.raises(BrokerUnavailable, match=r"no reply within 0\.3 s"):
            await run(command("BLPOP", "list", 30, read=bytes))
        assert await run(GET) is None
        assert await run(ME) != mine
        if isinstance(link, Link):
            await link.close()
        else:
            link.close()


async def test_a_large_reply_may_take_longer_than_the_patience_if_it_comes(redis_url: str) -> None:
    """Patience counts from the last byte: here from each of the replies of one round trip."""
    link = Link.from_url(redis_url, reply_timeout_s=0.5)
    waits = [command("BLPOP", f"list-{n}", 0.3, read=lambda reply: reply) for n in range(3)]
    assert await link.run_all(waits) == [None] * 3
    await link.close()


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_many_at_once_share_few_connections_and_get_their_own_replies(redis_url: str, loop_factory: Any) -> None:
    async def crowd() -> None:
        link, names = Link.from_url(redis_url, client_name="ferryman-crowd"), [str(n) for n in range(1_000)]
        assert (
            await asyncio.gather(
                *(link.run(command("ECHO", name, read=lambda reply: reply.decode())) for name in names)
            )
            == names
        )
        listed = await link.run(command("CLIENT", "LIST", read=lambda reply: reply.count(b"name=ferryman-crowd ")))
        assert 1 < listed <= CONNECTIONS_AT_MOST
        big = ["x" * 3_000_000, "y" * 3_000_000]
        assert await link.run_all([command("ECHO", one, read=lambda reply: reply.decode()) for one in big]) == big
        await link.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(crowd())


def test_after_a_fork_the_child_has_a_connection_of_its_own(redis_url: str) -> None:
    link = SyncLink.from_url(redis_url)
    mine = link.run(ME)
    reads, writes = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writes, str(link.run(ME)).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert int(os.read(reads, 20)) != mine
    assert link.run(ME) == mine
    link.close()
    os.close(reads)
    os.close(writes)


def test_a_link_outlives_the_loop_in_which_it_was_used(redis_url: str) -> None:
    link = Link.from_url(redis_url)

    async def use() -> int:
        number = await link.run(ME)
        await link.close()
        return number

    assert asyncio.run(use()) != asyncio.run(use())


async def test_what_speaks_no_redis_is_unavailable() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.acme ESMTP\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(BrokerUnavailable, match="what answers is no Redis"):
        await both(f"redis://127.0.0.1:{port}", GET)
    server.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Link]:
    """A link for some calls."""
    link = Link.from_url(url)
    try:
        yield link
    finally:
        await link.close()


async def blocked(link: Link, count: int) -> None:
    """Wait until so many clients wait for an element."""
    async with asyncio.timeout(10):
        while await link.run(command("INFO", "clients", read=lambda info: info["blocked_clients"])) != count:
            await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, signed by itself, with its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return both


@asynccontextmanager
async def tls_before(url: str, certificate: Path) -> AsyncIterator[int]:
    """The port of something that speaks TLS and hands on what it is told: our test server has no TLS of its own."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    redis_port = int(url.rpartition(":")[2].partition("/")[0])

    async def hand_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", redis_port)
        await asyncio.gather(hand_on(reader, outer), hand_on(inner, writer))

    server = await asyncio.start_server(serve, "localhost", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
