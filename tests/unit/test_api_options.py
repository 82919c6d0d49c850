"""Enqueue options: checked at the caller, and whose word counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ferryman import Backoff, InvalidTask
from ferryman.options import BUILT_IN, NO_OPTIONS, EnqueueOptions, RunSettings, TaskOptions, resolve


def test_options_become_what_redis_gets() -> None:
    options = EnqueueOptions.of(delay="10s", priority=5, unique="hi:42", id="a-1", max_attempts=3, timeout="1m")
    task = options.new_task("send", b"{}")
    assert (task.id, task.delay_ms, task.run_at_ms, task.priority, task.unique) == ("a-1", 10_000, 0, 5, "hi:42")
    assert TaskOptions.decode(task.options) == TaskOptions(max_attempts=3, timeout_s=60.0)


def test_without_options_nothing_travels() -> None:
    task = NO_OPTIONS.new_task("send", b"{}")
    assert (task.options, task.delay_ms, task.run_at_ms, task.priority, task.unique) == (b"", 0, 0, 0, "")
    assert EnqueueOptions.of() == NO_OPTIONS
    assert task.id != NO_OPTIONS.new_task("send", b"{}").id


@pytest.mark.parametrize(
    "at",
    [
        datetime(2030, 1, 31, 8, tzinfo=UTC),
        datetime(2030, 1, 31, 9, tzinfo=timezone(timedelta(hours=1))),
        "2030-01-31T08:00:00Z",
        "2030-01-31T09:00:00+01:00",
    ],
)
def test_a_moment_becomes_epoch_milliseconds(at: Any) -> None:
    assert EnqueueOptions.of(at=at).run_at_ms == 1_896_076_800_000


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"delay": "soon"}, "delay"),
        ({"delay": -1}, "delay"),
        ({"at": datetime(2030, 1, 1)}, "at"),  # noqa: DTZ001 (a naive one is the point)
        ({"at": "tomorrow"}, "at"),
        ({"at": 17}, "at"),
        ({"at": datetime(1960, 1, 1, tzinfo=UTC)}, "at"),
        ({"delay": "1s", "at": datetime(2030, 1, 1, tzinfo=UTC)}, "at"),
        ({"priority": 1.5}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": 1 << 21}, "priority"),
        ({"unique": "a b"}, "unique"),
        ({"unique": 42}, "unique"),
        ({"id": "a/b"}, "id"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": "5"}, "max_attempts"),
        ({"timeout": 0}, "timeout"),
        ({"backoff": 3}, "backoff"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        EnqueueOptions.of(**options)
    assert caught.value.field == field


def test_the_first_layer_that_speaks_decides() -> None:
    enqueued = TaskOptions(max_attempts=2)
    decorated = TaskOptions(max_attempts=9, timeout_s=30.0)
    policy = TaskOptions(max_attempts=7, timeout_s=300.0, backoff=Backoff(initial_s=5))
    assert resolve(enqueued, decorated, policy) == RunSettings(2, 30.0, Backoff(initial_s=5))
    assert resolve(TaskOptions(), TaskOptions()) == BUILT_IN == RunSettings(5, None, Backoff())


def test_options_of_a_newer_version_are_read_as_far_as_known() -> None:
    assert TaskOptions.decode(b'{"max_attempts": 3, "colour": "red"}') == TaskOptions(max_attempts=3)
    assert TaskOptions.decode(None) == TaskOptions.decode(b"") == TaskOptions()
    full = TaskOptions(1, 2.0, Backoff(factor=3))
    assert TaskOptions.decode(full.encode()) == full


@pytest.mark.parametrize("malformed", [b"{", b"[]", b'{"max_attempts": "x"}', b'{"backoff": {"factor": 0}}', b"\xff"])
def test_malformed_options_are_an_invalid_task(malformed: bytes) -> None:
    with pytest.raises(InvalidTask) as caught:
        TaskOptions.decode(malformed)
    assert caught.value.field == "options"
