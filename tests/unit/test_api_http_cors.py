"""Pages in browsers: configured origins may send what Grafana sends, others change nothing and read nothing."""

from __future__ import annotations

import httpx
import pytest
from ferryman_yard.api_app import GRAFANA, TASK, problem_of, serve

PREFLIGHT = {
    "Origin": GRAFANA,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-grafana-action,idempotency-key",
}
STRANGERS = ["https://evil.example", "http://grafana.example.com", f"{GRAFANA}.evil.example", "null"]


def permissions(answer: httpx.Response) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_page_of_a_configured_origin_may_send_what_grafana_sends() -> None:
    async with serve(token="t", origins=(GRAFANA,)) as client:
        preflight = await client.options("/tasks", headers=PREFLIGHT)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == GRAFANA
        assert preflight.headers["access-control-allow-methods"] == "GET, POST"
        allowed = preflight.headers["access-control-allow-headers"].lower().split(", ")
        assert allowed == ["authorization", "content-type", "x-grafana-action", "idempotency-key"]
        assert int(preflight.headers["access-control-max-age"]) >= 60, "a panel of buttons must not ask each time"
        assert "access-control-allow-credentials" not in preflight.headers
        assert preflight.headers["vary"] == "Origin"
        sent = await client.post(
            "/tasks", json=TASK, headers={"Origin": GRAFANA, "Authorization": "Bearer t", "X-Grafana-Action": "1"}
        )
        assert sent.status_code == 201
        assert sent.headers["access-control-allow-origin"] == GRAFANA
        refused = await client.post("/tasks", json=TASK, headers={"Origin": GRAFANA})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == GRAFANA, "or the page cannot read why"


@pytest.mark.parametrize(
    "asked",
    [
        {"Access-Control-Request-Headers": "x-other"},
        {"Access-Control-Request-Headers": "content-type, cookie"},
        {"Access-Control-Request-Method": "DELETE"},
        {"Access-Control-Request-Method": "PUT"},
    ],
)
async def test_a_preflight_for_more_than_that_is_refused(asked: dict[str, str]) -> None:
    async with serve(token="t", origins=(GRAFANA,)) as client:
        refused = await client.options("/tasks", headers=PREFLIGHT | asked)
        assert (refused.status_code, problem_of(refused)) == (403, "origin-not-allowed")
        assert "access-control-allow-methods" not in refused.headers
        assert "access-control-allow-headers" not in refused.headers


@pytest.mark.parametrize("origin", STRANGERS)
async def test_a_wrong_origin_gets_no_cors_header(origin: str) -> None:
    async with serve(token="t", origins=(GRAFANA,)) as client:
        refused = await client.options("/tasks", headers=PREFLIGHT | {"Origin": origin})
        assert (refused.status_code, problem_of(refused)) == (403, "origin-not-allowed")
        for answer in (
            refused,
            await client.post("/tasks", json=TASK, headers={"Origin": origin, "Authorization": "Bearer t"}),
            await client.get("/queues", headers={"Origin": origin, "Authorization": "Bearer t"}),
            await client.get("/metrics", headers={"Origin": origin}),
        ):
            assert permissions(answer) == []
            assert answer.headers["vary"] == "Origin", "a cache must not hand it to another origin"


async def test_without_origins_a_preflight_permits_nothing() -> None:
    async with serve(token="t") as client:
        answer = await client.options("/tasks", headers=PREFLIGHT)
        assert answer.status_code == 401
        assert permissions(answer) == []


@pytest.mark.parametrize("origins", [(), (GRAFANA,)])
async def test_a_page_of_another_origin_changes_nothing(origins: tuple[str, ...]) -> None:
    evil = {"Origin": "https://evil.example"}
    async with serve(origins=origins) as client:
        for method, path in [("POST", "/tasks"), ("POST", "/queues/emails/hold"), ("DELETE", "/tasks/emails/x")]:
            refused = await client.request(method, path, headers=evil)
            assert (refused.status_code, problem_of(refused)) == (403, "origin-not-allowed")
        assert "access-control-allow-origin" not in (await client.get("/queues", headers=evil)).headers
        own = await client.post("/tasks", json=TASK, headers={"Origin": "http://127.0.0.1:8000"})
        assert own.status_code == 201
