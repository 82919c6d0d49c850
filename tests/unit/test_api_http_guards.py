"""What is turned away before any work is done: settings, hosts, bodies, unknown paths. Nothing here needs a Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from ferryman_yard.api_app import GRAFANA, TASK, problem_of, serve

from ferryman.api.settings import ApiSettings
from ferryman.settings import BadSetting


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


def test_limits_come_from_the_environment() -> None:
    env = {"FERRYMAN_API_BODY_LIMIT_BYTES": "2048", "FERRYMAN_API_RATE_PER_S": "2.5"}
    settings = ApiSettings.from_env(env)
    assert (settings.body_limit_bytes, settings.rate_per_s, settings.rate_burst) == (2048, 2.5, 5)
    assert ApiSettings.from_env({**env, "FERRYMAN_API_RATE_BURST": "40"}).rate_burst == 40
    assert (ApiSettings.from_env({}).body_limit_bytes, ApiSettings.from_env({}).rate_per_s) == (1 << 20, 0.0)
    for name in ("FERRYMAN_API_BODY_LIMIT_BYTES", "FERRYMAN_API_RATE_PER_S", "FERRYMAN_API_RATE_BURST"):
        for wrong in ("-1", "much", "inf", "nan"):
            with pytest.raises(BadSetting, match=name):
                ApiSettings.from_env({name: wrong})


async def test_without_a_token_a_name_that_points_here_is_not_this_machine() -> None:
    async with serve(host="rebound.example:8000") as client:
        refused = await client.post("/tasks", json=TASK, headers={"Origin": "http://rebound.example:8000"})
        assert (refused.status_code, problem_of(refused)) == (403, "host-not-allowed")
    async with serve(host="rebound.example:8000", insecure=True) as client:
        assert (await client.get("/queues")).status_code == 200
    for host in ("localhost:8000", "[::1]:8000"):
        async with serve(host=host) as client:
            assert (await client.get("/queues")).status_code == 200


async def test_a_body_over_the_limit_is_refused_by_its_length_and_by_counting() -> None:
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
async def test_a_body_that_does_not_say_it_is_json_is_refused(kind: str | None) -> None:
    async with serve() as client:
        headers = {"Content-Type": kind} if kind else {}
        refused = await client.post("/tasks", content=b'{"queue": "emails", "task": "send"}', headers=headers)
        assert (refused.status_code, problem_of(refused)) == (415, "not-json")


async def test_what_is_not_there_and_what_cannot_be_used_are_problems_too() -> None:
    async with serve() as client:
        assert problem_of(await client.get("/nowhere")) == "not-found"
        wrong = await client.put("/tasks")
        assert (problem_of(wrong), wrong.headers["allow"]) == ("method-not-allowed", "POST")
        two = await client.put("/tasks/emails/t1")
        assert two.headers["allow"] == "DELETE, GET", "all methods of the path, not of its first route"
        assert problem_of(await client.post("/tasks/", json=TASK)) == "not-found", "nothing is redirected"


async def test_metrics_have_bounded_labels() -> None:
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
