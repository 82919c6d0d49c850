"""Lanes, limits and ways of being unique, as people write them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ferryman import InvalidTask, Limits, Queue
from ferryman.limits import Rate
from ferryman.terms import Terms

queue = Queue("limits", limits=Limits(lane_concurrency=2, rate="100/m"))


@queue.task(lane="tenant-{tenant}")
async def bill(tenant: int, note: str = "none") -> None:
    """By a template."""


@queue.task(lane=lambda tenant, **_: str(tenant))
async def ship(tenant: int, note: str) -> None:
    """By a function."""


@queue.task
async def plain() -> None:
    """By nobody."""


def terms_of(item: Any) -> Terms:
    return msgspec.json.decode(item.task.terms, type=Terms) if item.task.terms else Terms()


def test_a_template_names_arguments() -> None:
    assert terms_of(bill.task(7)).lane == "tenant-7"
    assert terms_of(queue.named("bill", {"tenant": 8})).lane == "tenant-8"


def test_a_function_gets_the_arguments_by_name() -> None:
    assert terms_of(ship.task(7, "n")).lane == "7"


def test_an_option_counts_before_the_decorator() -> None:
    assert terms_of(bill.options(lane="vip").task(7)).lane == "vip"
    assert terms_of(plain.options(lane="vip").task()).lane == "vip"


def test_a_task_without_terms_travels_without_any() -> None:
    assert plain.task().task.terms == b""


@pytest.mark.parametrize("lane", ["", "two words", "*", "ä", "x" * 201, 7])
def test_a_bad_lane_is_refused(lane: Any) -> None:
    with pytest.raises(InvalidTask, match="lane"):
        bill.options(lane=lane)


@pytest.mark.parametrize("spec", ["{tenannt}", "{", "{0}", 7, lambda customer: customer])
def test_a_lane_that_no_argument_can_give_is_refused_at_decoration(spec: Any) -> None:
    with pytest.raises(InvalidTask, match="lane"):

        @Queue("other").task(lane=spec)
        async def work(tenant: str) -> None: ...


def test_a_function_that_fails_is_told_of() -> None:
    @Queue("other").task(lane=lambda tenant: tenant["id"])
    async def work(tenant: dict[str, str]) -> None: ...

    with pytest.raises(InvalidTask, match="KeyError"):
        work.task({})


@pytest.mark.parametrize(
    ("options", "terms"),
    [
        ({"unique": "k"}, Terms()),
        ({"unique": "k", "unique_for": "until_done"}, Terms()),
        ({"unique": "k", "unique_for": "while_waiting"}, Terms(unique_for="while_waiting")),
        ({"unique": "k", "throttle": "10s"}, Terms(throttle_ms=10_000)),
        ({"unique": "k", "debounce": 5}, Terms(debounce_ms=5_000)),
        ({"unique": "k", "throttle": "1s", "delay": "5s"}, Terms(throttle_ms=1_000)),
    ],
)
def test_ways_of_being_unique(options: Any, terms: Terms) -> None:
    assert terms_of(plain.options(**options).task()) == terms


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"throttle": "10s"}, "throttle"),
        ({"unique_for": "while_waiting"}, "unique_for"),
        ({"unique": "k", "unique_for": "ever"}, "unique_for"),
        ({"unique": "k", "throttle": "1s", "debounce": "1s"}, "debounce"),
        ({"unique": "k", "unique_for": "until_done", "throttle": "1s"}, "throttle"),
        ({"unique": "k", "debounce": "1s", "delay": "1s"}, "debounce"),
        ({"unique": "k", "debounce": "1s", "at": "2030-01-01T00:00:00Z"}, "debounce"),
        ({"unique": "k", "throttle": "soon"}, "throttle"),
        ({"unique": "k", "debounce": 0}, "debounce"),
        ({"unique": "k", "throttle": "31d"}, "throttle"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(options: Any, named: str) -> None:
    with pytest.raises(InvalidTask) as refused:
        plain.options(**options)
    assert refused.value.field == named


@pytest.mark.parametrize(
    ("text", "rate"),
    [("10/s", Rate(10, 1_000)), ("100/m", Rate(100, 60_000)), ("5/30s", Rate(5, 30_000)), (" 1 / 9ms ", Rate(1, 9))],
)
def test_rates(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize("text", ["", "10", "10/", "0/s", "10001/s", "1/2d", "-1/s", "1/0s", "1.5/s", 10])
def test_what_is_no_rate_is_refused(text: Any) -> None:
    with pytest.raises(InvalidTask, match=r"limits\.rate"):
        Limits(rate=text)


def test_limits_of_the_code_travel_with_the_registration() -> None:
    assert queue.manifest("app").limits.encode() == "code_rate_count 100 code_rate_ms 60000 code_lane_concurrency 2"
    assert Queue("other").manifest("app").limits.encode() == ""


@pytest.mark.parametrize("most", [0, -1, True, "2", 100_001])
def test_what_is_no_concurrency_is_refused(most: Any) -> None:
    with pytest.raises(InvalidTask, match="lane_concurrency"):
        Limits(lane_concurrency=most)


def test_limits_are_limits() -> None:
    with pytest.raises(TypeError, match="Limits"):
        Queue("other", limits={"rate": "1/s"})  # type: ignore[arg-type]
