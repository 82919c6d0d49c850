"""The rate limit: per token, per address without one, never for probes, and off unless it is asked for."""

from __future__ import annotations

import pytest
from ferryman_yard.api_app import GRAFANA, problem_of, serve

from ferryman.api.rate import _CLIENTS_AT_MOST, Buckets


class Watch:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_burst_and_then_what_flows_in() -> None:
    watch = Watch()
    buckets = Buckets(per_s=2, burst=3, clock=watch)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a") == pytest.approx(0.5)
    assert buckets.take("b") == 0, "another client has a bucket of its own"
    watch.now += 0.25
    assert buckets.take("a") == pytest.approx(0.25), "asking in vain costs nothing"
    watch.now += 0.25
    assert buckets.take("a") == 0
    watch.now += 3600
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, pytest.approx(0.5)], (
        "a bucket never holds more than its burst"
    )


def test_clients_that_never_come_back_are_forgotten() -> None:
    buckets = Buckets(per_s=1, burst=1, clock=Watch())
    assert buckets.take("regular") == 0
    for number in range(_CLIENTS_AT_MOST - 1):
        buckets.take(number)
    assert buckets.take("regular") > 0, "who comes often is remembered"
    for number in range(2 * _CLIENTS_AT_MOST):
        buckets.take(-number - 1)
    assert len(buckets._left) == _CLIENTS_AT_MOST


async def test_too_many_requests_are_429_with_retry_after() -> None:
    async with serve(token="t", origins=(GRAFANA,), rate_per_s=0.01, rate_burst=2) as client:
        client.headers.update({"Authorization": "Bearer t", "Origin": GRAFANA})
        assert [(await client.get("/queues")).status_code for _ in range(2)] == [200, 200]
        refused = await client.get("/queues")
        assert (refused.status_code, problem_of(refused)) == (429, "too-many-requests")
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        assert refused.headers["access-control-allow-origin"] == GRAFANA, "or the page cannot read why"
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await client.get(path)).status_code == 200


async def test_who_guesses_tokens_empties_the_bucket_of_its_address_only() -> None:
    async with serve(token="t", rate_per_s=0.01, rate_burst=2) as client:
        guesses = [await client.get("/queues", headers={"Authorization": f"Bearer {number}"}) for number in range(3)]
        assert [guess.status_code for guess in guesses] == [401, 401, 429]
        assert (await client.get("/queues", headers={"Authorization": "Bearer t"})).status_code == 200


async def test_without_being_asked_for_nothing_is_limited() -> None:
    async with serve() as client:
        assert {(await client.get("/queues")).status_code for _ in range(300)} == {200}
