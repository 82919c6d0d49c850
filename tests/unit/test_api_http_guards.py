"""Who is let in before any work is done: settings, tokens, hosts, origins, bodies. Nothing here needs a Redis."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fakeredis import FakeAsyncRedis, FakeServer

from ferryman.api.app import create_app
from ferryman.api.settings import ApiSettings
from ferryman.link import Link
from ferryman.settings import BadSetting

GRAFANA = "https://grafana.example.com"
TASK = {"queue": "emails", "task": "send"}

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serve() -> Serve:
    """Serves an API with these settings, on an empty fake Redis."""

    @asynccontextmanager
    async def serving(host: str = "127.0.0.1:8000", **settings: object) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(ApiSettings(**settings), lambda: Link(FakeAsyncRedis(server=FakeServer())))  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client,
        ):
            yield client

    return serving


def problem_of(response: httpx.Response) -> str:
    """The kind of problem, after checking that the document is one."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"]
    return str(problem["type"]).removeprefix("urn:ferryman:problem:")


def test_without_a_token_only_this_machine_may_be_served() -> None:
    assert ApiSettings.from_env({}).on_loopback
    assert ApiSettings.from_env({}, host="::1").on_loopback
    with pytest.raises(BadSetting, match="there is no token"):
        ApiSettings.from_env({}, host="0.0.0.0")
    with pytest.raises(BadSetting, match="there is no token"):
        ApiSettings.from_env({"FERRYMAN_API_HOST": "api.example.com"})
    assert ApiSettings.from_env({}, host="0.0.0.0", insecure=True).insecure
    assert ApiSettings.from_env({"FERRYMAN_API_TOKEN": "t"}, host="0.0.0.0").has_token


@pytest.mark.parametrize("origins", ["*", "grafana.example.com", "https://grafana.example.com/path", "null"])
def test_what_is_no_origin_is_refused(origins: str) -> None:
    with pytest.raises(BadSetting, match="FERRYMAN_API_ORIGINS"):
        ApiSettings.from_env({"FERRYMAN_API_ORIGINS": origins})


def test_settings_come_from_the_environment_and_the_command_line_wins() -> None:
    env = {"FERRYMAN_API_PORT": "81", "FERRYMAN_API_ORIGINS": f"{GRAFANA}/, http://localhost:3000"}
    settings = ApiSettings.from_env(env)
    assert (settings.port, settings.origins) == (81, (GRAFANA, "http://localhost:3000"))
    assert ApiSettings.from_env(env, port=82).port == 82
    with pytest.raises(BadSetting, match="FERRYMAN_API_PORT"):
        ApiSettings.from_env({"FERRYMAN_API_PORT": "http"})


async def test_every_route_but_the_open_ones_asks_for_the_token(serve: Serve) -> None:
    async with serve(token="right") as client:
        for method, path in [("POST", "/tasks"), ("GET", "/queues"), ("POST", "/queues/q/reset"), ("GET", "/nowhere")]:
            refused = await client.request(method, path, headers={"Authorization": "Bearer wrong"})
            assert (refused.status_code, problem_of(refused)) == (401, "unauthorized")
            assert refused.headers["www-authenticate"].startswith("Bearer")
        assert problem_of(await client.get("/queues")) == "unauthorized"
        assert problem_of(await client.get("/queues", headers={"Authorization": "Basic right"})) == "unauthorized"
        for path in ("/livez", "/readyz", "/metrics", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        accepted = await client.get("/queues", headers={"Authorization": "bearer right"})
        assert accepted.status_code == 200


async def test_an_empty_token_is_never_right(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("right")
    async with serve(token_file=file) as client:
        file.write_text("\n")
        for header in ("Bearer", "Bearer ", "Bearer right"):
            assert (await client.get("/queues", headers={"Authorization": header})).status_code == 401


async def test_the_token_file_is_read_again_and_may_hold_two_tokens(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")

    async def status(token: str) -> int:
        return (await client.get("/queues", headers={"Authorization": f"Bearer {token}"})).status_code

    async with serve(token_file=file) as client:
        assert [await status(token) for token in ("old", "new")] == [200, 401]
        (tmp_path / "next").write_text("old\nnew\n")
        os.replace(tmp_path / "next", file)
        assert [await status(token) for token in ("old", "new")] == [200, 200]
        (tmp_path / "next").write_text("new\n")
        os.replace(tmp_path / "next", file)
        assert [await status(token) for token in ("old", "new")] == [401, 200]
        file.unlink()
        assert await status("new") == 200, "a look between two files must not lock everybody out"


@pytest.mark.parametrize("content", [None, "\n"])
def test_a_token_file_without_a_token_is_refused_at_the_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadSetting, match="FERRYMAN_API_TOKEN_FILE"):
        create_app(ApiSettings(token_file=file), lambda: Link(FakeAsyncRedis())).build_middleware_stack()


async def test_a_page_of_a_configured_origin_may_send_what_grafana_sends(serve: Serve) -> None:
    wanted = {
        "Origin": GRAFANA,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-grafana-action,idempotency-key",
    }
    async with serve(token="t", origins=(GRAFANA,)) as client:
        preflight = await client.options("/tasks", headers=wanted)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == GRAFANA
        sent = await client.post(
            "/tasks", json=TASK, headers={"Origin": GRAFANA, "Authorization": "Bearer t", "X-Grafana-Action": "1"}
        )
        assert sent.status_code == 201
        assert sent.headers["access-control-allow-origin"] == GRAFANA
        refused = await client.post("/tasks", json=TASK, headers={"Origin": GRAFANA})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == GRAFANA, "or the page cannot read why"
        other = await client.options("/tasks", headers={**wanted, "Access-Control-Request-Headers": "x-other"})
        assert other.status_code == 400


@pytest.mark.parametrize("origins", [(), (GRAFANA,)])
async def test_a_page_of_another_origin_changes_nothing(serve: Serve, origins: tuple[str, ...]) -> None:
    evil = {"Origin": "https://evil.example"}
    async with serve(origins=origins) as client:
        for method, path in [("POST", "/tasks"), ("POST", "/queues/emails/hold"), ("DELETE", "/tasks/emails/x")]:
            refused = await client.request(method, path, headers=evil)
            assert (refused.status_code, problem_of(refused)) == (403, "origin-not-allowed")
        assert "access-control-allow-origin" not in (await client.get("/queues", headers=evil)).headers
        own = await client.post("/tasks", json=TASK, headers={"Origin": "http://127.0.0.1:8000"})
        assert own.status_code == 201


async def test_without_a_token_a_name_that_points_here_is_not_this_machine(serve: Serve) -> None:
    async with serve(host="rebound.example:8000") as client:
        refused = await client.post("/tasks", json=TASK, headers={"Origin": "http://rebound.example:8000"})
        assert (refused.status_code, problem_of(refused)) == (403, "host-not-allowed")
    async with serve(host="rebound.example:8000", insecure=True) as client:
        assert (await client.get("/queues")).status_code == 200
    for host in ("localhost:8000", "[::1]:8000"):
        async with serve(host=host) as client:
            assert (await client.get("/queues")).status_code == 200


async def test_a_body_over_the_limit_is_refused_by_its_length_and_by_counting(serve: Serve) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"queue": "emails", "task": "send", "args": {"text": "'
        for _ in range(1000):
            yield b"x" * 1000

    async with serve(body_limit_bytes=10_000) as client:
        declared = await client.post("/tasks", json={**TASK, "args": {"text": "x" * 10_000}})
        assert (declared.status_code, problem_of(declared)) == (413, "body-too-large")
        streamed = await client.post("/tasks", content=endless(), headers={"Content-Type": "application/json"})
        assert (streamed.status_code, problem_of(streamed)) == (413, "body-too-large")
        fits = await client.post("/tasks", json={**TASK, "args": {"text": "x" * 9_000}})
        assert fits.status_code == 201


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", None])
async def test_a_body_that_does_not_say_it_is_json_is_refused(serve: Serve, kind: str | None) -> None:
    async with serve() as client:
        headers = {"Content-Type": kind} if kind else {}
        refused = await client.post("/tasks", content=b'{"queue": "emails", "task": "send"}', headers=headers)
        assert (refused.status_code, problem_of(refused)) == (415, "not-json")


async def test_what_is_not_there_and_what_cannot_be_used_are_problems_too(serve: Serve) -> None:
    async with serve() as client:
        assert problem_of(await client.get("/nowhere")) == "not-found"
        wrong = await client.put("/tasks")
        assert (problem_of(wrong), wrong.headers["allow"]) == ("method-not-allowed", "POST")


async def test_metrics_have_bounded_labels(serve: Serve) -> None:
    async with serve() as client:
        await client.get("/tasks/emails/a")
        await client.get("/tasks/emails/b")
        await client.get("/nowhere/1")
        await client.request("BREW", "/tasks")
        text = (await client.get("/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("ferryman_http_requests_total{")]
    assert 'ferryman_http_requests_total{method="GET",route="/tasks/{queue}/{id}",status="404"} 2.0' in lines
    assert 'ferryman_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in lines
    assert 'ferryman_http_requests_total{method="other",route="/tasks",status="405"} 1.0' in lines
