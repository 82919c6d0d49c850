"""The small parts: the world, endpoints, what a Redis error means, settings, health."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest
from ferryman_operator.backlog import unmeasured
from ferryman_operator.cluster import ClusterError, NotFound
from ferryman_operator.endpoints import Endpoints, NoEndpoint
from ferryman_operator.health import Health
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.spec import RedisRef
from ferryman_operator.world import Kind, World

from ferryman.errors import BrokerRefused, BrokerUnavailable, ProtocolMismatch
from ferryman.inspector import Inspector
from ferryman.link import Link
from ferryman.refusals import translate
from ferryman.settings import BadSetting
from ferryman.wire import NotAdmitted, Refusal


def body(name: str, version: int, namespace: str = "ns") -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name, "resourceVersion": str(version), "managedFields": []}}


def known(world: World) -> dict[str, str]:
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in world.all(Kind.DEPLOYMENT)}


def test_the_world_keeps_the_newest_and_drops_what_a_list_lacks() -> None:
    world = World()
    for name, version in (("a", 5), ("b", 6), ("late", 30)):
        world.observe(Kind.DEPLOYMENT, "ADDED", body(name, version))
    world.observe(Kind.DEPLOYMENT, "ADDED", body("elsewhere", 7, "other"))
    world.put(Kind.DEPLOYMENT, body("a", 4))
    world.replace(Kind.DEPLOYMENT, [body("a", 8)], 20, "ns", 0.0)
    assert known(world) == {"a": "8", "late": "30", "elsewhere": "7"}
    world.observe(Kind.DEPLOYMENT, "DELETED", body("a", 31))
    assert known(world) == {"late": "30", "elsewhere": "7"}
    assert all("managedFields" not in one["metadata"] for one in world.all(Kind.DEPLOYMENT))


class Secrets:
    """An API server that knows one Secret, or not."""

    def __init__(self) -> None:
        self.answer: str | ClusterError | None = NotFound(404, 'secrets "s" not found')
        self.reads = 0

    async def secret_value(self, namespace: str, name: str, key: str) -> str | None:
        self.reads += 1
        if isinstance(self.answer, ClusterError):
            raise self.answer
        return self.answer


async def test_a_secret_that_appears_is_found_and_then_kept() -> None:
    secrets: Any = Secrets()
    now = [0.0]
    endpoints, ref = Endpoints(secrets, lambda: now[0]), RedisRef(secret="s")
    missing = await endpoints.resolve("ns", ref)
    assert isinstance(missing, NoEndpoint)
    assert missing.reason == "SecretNotFound"
    secrets.answer = "redis://:pw@r:6379/0"
    assert isinstance(await endpoints.resolve("ns", ref), NoEndpoint), "not asked for again at once"
    now[0] = 2.0
    assert await endpoints.resolve("ns", ref) == "redis://:pw@r:6379/0"
    now[0] = 30.0
    await endpoints.resolve("ns", ref)
    assert secrets.reads == 2


async def test_a_refused_password_is_read_again_and_a_silent_api_server_changes_nothing() -> None:
    secrets: Any = Secrets()
    secrets.answer = "redis://:old@r"
    now = [0.0]
    endpoints, ref = Endpoints(secrets, lambda: now[0]), RedisRef(secret="s")
    await endpoints.resolve("ns", ref)
    endpoints.distrust("ns", ref)
    now[0], secrets.answer = 2.0, ClusterError(0, "the API server does not answer")
    assert await endpoints.resolve("ns", ref) == "redis://:old@r"
    endpoints.distrust("ns", ref)
    now[0], secrets.answer = 4.0, "redis://:new@r"
    assert await endpoints.resolve("ns", ref) == "redis://:new@r"


@pytest.mark.parametrize(
    ("value", "reason"), [(None, "SecretKeyMissing"), ("", "SecretKeyMissing"), ("r:6379", "InvalidURL")]
)
async def test_a_secret_that_holds_no_url(value: str | None, reason: str) -> None:
    secrets: Any = Secrets()
    secrets.answer = value
    found = await Endpoints(secrets).resolve("ns", RedisRef(secret="s"))
    assert isinstance(found, NoEndpoint)
    assert found.reason == reason


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def told(error: Exception) -> Exception:
    """As a link raises it."""
    return caused(translate(error, "r:6379/0"), error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (caused(BrokerUnavailable("x"), ConnectionRefusedError()), "ConnectionRefused"),
        (caused(BrokerUnavailable("x"), socket.gaierror()), "NameNotResolved"),
        (caused(BrokerUnavailable("x"), TimeoutError()), "Timeout"),
        (TimeoutError(), "Timeout"),
        (told(NotAdmitted("WRONGPASS invalid username-password pair")), "AuthenticationFailed"),
        (told(Refusal("NOAUTH Authentication required.")), "AuthenticationFailed"),
        (told(Refusal("NOPERM this user has no permissions to run it")), "AuthenticationFailed"),
        (told(Refusal("LOADING Redis is loading the dataset in memory")), "Loading"),
        (told(Refusal("MISCONF it can't write its disk")), "WritesRefused"),
        (BrokerUnavailable("connection closed"), "ConnectionFailed"),
        (BrokerRefused("WRONGTYPE"), "Refused"),
        (ProtocolMismatch(1, 4), "ProtocolMismatch"),
    ],
)
def test_what_a_redis_error_means(error: Exception, reason: str) -> None:
    assert unmeasured(error, 2.0).reason == reason
    assert unmeasured(error, 2.0).message


async def test_a_real_refusal_is_told_from_a_name_that_does_not_exist() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
    found = {}
    for name, target in (("closed", url), ("nowhere", "redis://no-such-host.invalid:6379/0")):
        link = Link.from_url(target)
        with pytest.raises(BrokerUnavailable) as caught:
            await link.run_all([Inspector("q").stats()])
        found[name] = unmeasured(caught.value, 2.0).reason
        await link.close()
    assert found == {"closed": "ConnectionRefused", "nowhere": "NameNotResolved"}


def test_settings_name_the_variable_that_is_wrong() -> None:
    env = {"FERRYMAN_SCHEDULER_IMAGE": "s:1", "FERRYMAN_WATCH_NAMESPACES": "a, b"}
    assert OperatorSettings.from_env(env).namespaces == ("a", "b")
    for name, value in (
        ("FERRYMAN_SCHEDULER_IMAGE", ""),
        ("FERRYMAN_SCHEDULER_RESOURCES", "[1]"),
        ("FERRYMAN_POD_MONITORS", "no"),
        ("FERRYMAN_POD_MONITORS", '{"enabled": "no"}'),
        ("FERRYMAN_POD_MONITORS", '{"interval": 15}'),
        ("FERRYMAN_POD_MONITORS", '{"labels": {"release": 1}}'),
        ("FERRYMAN_PORT", "http"),
        ("FERRYMAN_POLL_INTERVAL", "often"),
    ):
        with pytest.raises(BadSetting, match=f"^{name}: "):
            OperatorSettings.from_env(env | {name: value})


async def test_health_fails_when_no_pass_ends() -> None:
    age = [1.0]
    health = Health(lambda: age[0], 90.0, lambda: b"metrics\n")
    server = await health.serve(0, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]

    async def get(path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        reply = await reader.read()
        writer.close()
        return reply

    assert (await get("/livez")).startswith(b"HTTP/1.1 200")
    age[0] = 91.0
    assert (await get("/livez")).startswith(b"HTTP/1.1 503")
    assert (await get("/metrics")).endswith(b"\r\n\r\nmetrics\n")
    assert (await get("/else")).startswith(b"HTTP/1.1 404")
    server.close()
    await server.wait_closed()


async def test_a_scrape_of_many_queues_does_not_stop_the_loop() -> None:
    """The metrics below are not done before the loop has moved on."""
    moved = threading.Event()
    server = await Health(lambda: 1.0, 90.0, lambda: b"moved\n" if moved.wait(10) else b"stopped\n").serve(
        0, "127.0.0.1"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    asyncio.get_running_loop().call_later(0.2, moved.set)
    assert (await reader.read()).endswith(b"moved\n")
    writer.close()
    server.close()
    await server.wait_closed()
