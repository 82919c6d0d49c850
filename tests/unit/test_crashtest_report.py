"""What a crash test tells: the line that repeats it, and which kinds it left out."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferryman.cli.crash_test import crash_test
from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.claims import Findings
from ferryman.crashtest.execution_log import Ending, Execution
from ferryman.crashtest.kinds import DEFAULT_KINDS, LINK_KINDS
from ferryman.crashtest.outcome import Outcome, Settings
from ferryman.crashtest.possible import choose_kinds
from ferryman.crashtest.recovery import aftermaths
from ferryman.crashtest.report import lines, replay, to_json_dict
from ferryman.crashtest.standstill import strikes_of
from ferryman.crashtest.strike import Strike
from ferryman.crashtest.verdict import LastSeen, judge
from ferryman.inspector import QueueStats
from ferryman.task import TaskState

SETTINGS = Settings(
    tasks=2_000,
    workers=4,
    schedulers=1,
    kills=10,
    seed=7,
    task_ms=50.0,
    kinds=DEFAULT_KINDS,
    timeout_s=120.0,
    worker_timeout_ms=15_000,
    queue="crash-test-1",
    redis_url=None,
    redis_fails="",
    appendfsync="everysec",
    folder=Path("logs"),
    env={},
)
KILL = Strike(1, "sigkill", "worker-0.1", 5_000, 5_010, hits="worker-0.1")
LATER = Strike(2, "pod-gone", "worker-1.1", 9_000, 9_010, hits="worker-1.1")
#: t0 was cut off twice; t1 was never run; t2 ran once.
RUNS = [
    Execution("t0", "a", 1, "worker-0.1", 1, 4_900),
    Execution("t0", "b", 1, "worker-1.1", 2, 6_000),
    Execution("t0", "c", 1, "worker-2.1", 3, 20_000, 20_050, Ending.END),
    Execution("t2", "d", 1, "worker-2.1", 3, 4_000, 4_050, Ending.END),
]


#: Nothing is left.
STATS = QueueStats("crash-test-1", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0, False, 0, None, 0, 0, 0, False, 0)


def outcome(settings: Settings = SETTINGS) -> Outcome:
    done = LastSeen(TaskState.COMPLETED)
    finals = {"t0": done, "t1": LastSeen(None), "t2": done}
    verdict = judge(dict.fromkeys(finals, 1_000.0), RUNS, [KILL, LATER], finals, 0)
    return Outcome(
        settings=settings,
        verdict=verdict,
        aftermaths=aftermaths(RUNS, [KILL, LATER]),
        stats=STATS,
        executions=len(RUNS),
        resent_enqueues=3,
        unasked_exits=[],
        missing_workers=[],
        bound_ms=0,
        took_s=60,
        time_was_up=False,
        left_out={"oom": "no memory cgroup"},
    )


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        replace(SETTINGS, workers=2, schedulers=3, task_ms=12.5, worker_timeout_ms=2_500),
        replace(SETTINGS, kinds=("sigkill", "pause"), kinds_asked=True),
        replace(SETTINGS, redis_fails="aof-restart", appendfsync="always"),
        replace(SETTINGS, redis_fails="failover", kinds=("sigkill", "redis"), kinds_asked=True),
    ],
)
def test_the_line_that_repeats_a_run_asks_for_the_same(settings: Settings) -> None:
    words = shlex.split(replay(settings))
    assert words[:2] == ["ferryman", "crash-test"]
    asked: dict[str, Any] = crash_test.make_context("crash-test", words[2:]).params
    for name in ("tasks", "workers", "schedulers", "kills", "seed", "task_ms"):
        assert asked[name] == getattr(settings, name)
    assert asked["worker_timeout"] == settings.worker_timeout_ms
    assert asked["failover"] == (settings.redis_fails == "failover")
    assert asked["aof_restart"] == (settings.appendfsync if settings.redis_fails == "aof-restart" else None)
    named = tuple(kind for kind in settings.kinds if kind != "redis")
    assert asked["kinds"] == (named if settings.kinds_asked else None)


def test_the_password_of_a_redis_is_not_told() -> None:
    secret = outcome(replace(SETTINGS, redis_url="redis://me:secret@example.com"))
    assert "secret" not in json.dumps(to_json_dict(secret)) + "".join(lines(secret))


def test_json_names_every_task_that_was_not_done_once() -> None:
    found = to_json_dict(outcome())
    assert {fate: ids for fate, ids in found["ids"].items() if ids} == {"lost": ["t1"]}
    assert (found["fates"]["lost"], found["fates"]["done_once"]) == (1, 2)
    assert [repeat["id"] for repeat in found["repeats"]] == ["t0"]
    assert found["left_out"] == {"oom": "no memory cgroup"}


def test_what_is_claimed_of_schedules_keys_and_lanes_is_told_and_fails_the_test_when_it_does_not_hold() -> None:
    asked = Findings(schedules=2, occurrences=9, unique_enqueues=6, unique_keys=2, unique_created=3, lanes=1)
    good = replace(outcome(), findings=asked)
    assert good.problems == ["1 lost"]
    words = list(lines(good))
    assert "2 schedules: of 9 occurrences that were due 9 were fired, each exactly once." in words
    assert "6 enqueues under 2 unique keys made 3 tasks; never did two have one key at once." in words
    bad = replace(good, findings=replace(asked, missed=2, lane_over=1))
    assert bad.problems[1:] == [
        "2 occurrences of schedules that were never fired",
        "1 runs that began while their lane was full",
    ]
    assert to_json_dict(bad)["features"]["missed"] == 2


def test_a_repeated_task_counts_under_the_first_kill_that_explains_it() -> None:
    assert to_json_dict(outcome())["repeated"]["by_kind"] == {"pod-gone": 0, "sigkill": 1}


def test_a_person_reads_what_went_wrong_and_how_to_repeat_it() -> None:
    words = list(lines(outcome()))
    assert words[-2:] == ["FAILED: 1 lost.", f"The same kills again: {replay(SETTINGS)}"]
    assert "lost: t1" in words
    assert "note: oom was left out: no memory cgroup" in words


def test_a_machine_that_stood_still_is_told_of() -> None:
    standing = strikes_of([(2_000.0, 2_700.0), (7_000.0, 9_500.0)], [KILL, LATER], 15_000)
    still = replace(outcome(), standstills=standing)
    words = "note: this machine or Redis stood still 2 times, for up to 2.5 s: what workers had to tell came late"
    assert words in lines(still)
    assert to_json_dict(still)["standstills"] == [
        {"from_ms": 2_000, "to_ms": 2_700},
        {"from_ms": 7_000, "to_ms": 9_500},
    ]
    assert not any("stood still" in line for line in lines(outcome()))


@pytest.mark.parametrize("url", ["rediss://example.com:6380/0", "unix:///run/redis.sock"])
def test_where_no_proxy_can_stand_links_are_left_out_or_refused(url: str) -> None:
    kinds = ("sigkill", *LINK_KINDS)
    chosen = choose_kinds(replace(SETTINGS, kinds=kinds, redis_url=url))
    assert (list(chosen.kinds), set(chosen.left_out)) == (["sigkill"], set(LINK_KINDS))
    with pytest.raises(CommandFailed, match="--kinds link-cut: no proxy"):
        choose_kinds(replace(SETTINGS, kinds=kinds, redis_url=url, kinds_asked=True))


def test_a_plain_redis_of_somebody_else_has_proxies_before_it_too() -> None:
    chosen = choose_kinds(replace(SETTINGS, kinds=LINK_KINDS, redis_url="redis://example.com"))
    assert (tuple(chosen.kinds), chosen.left_out) == (LINK_KINDS, {})
