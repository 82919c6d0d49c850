"""docs/defaults.md: each row is what the code says, and nothing that has a default is missing there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ferryman_operator.settings import OperatorSettings
from ferryman_scheduler.settings import SchedulerSettings
from ferryman_worker.outcome import PARKS_MAX
from ferryman_worker.settings import BEATS_PER_TIMEOUT, WorkerSettings

from ferryman.api.settings import ApiSettings
from ferryman.batches import BATCH_BYTES, BATCH_TASKS
from ferryman.durations import parse_duration
from ferryman.enqueue_steps import RESEND_PAUSES_S
from ferryman.options import BUILT_IN, MAX_ATTEMPTS_LIMIT, EnqueueOptions
from ferryman.policy import Policy
from ferryman.replication import DEFAULT_TIMEOUT, ReplicaWait
from ferryman.schedule import Cron
from ferryman.settings import DEFAULT_REDIS_URL, RedisSettings
from ferryman.task import MAX_ARGS_BYTES, MAX_PRIORITY, MAX_RESULT_BYTES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/defaults.md").read_text(encoding="utf-8")

POLICY, WORKER, SCHEDULER = Policy(), WorkerSettings.from_env({}, ""), SchedulerSettings.from_env({})
API, OPERATOR = ApiSettings.from_env({}), OperatorSettings.from_env({"FERRYMAN_SCHEDULER_IMAGE": "x"})


def seconds(s: float | None) -> str:
    """As the page writes durations: in the largest unit that keeps them whole, but a single minute in seconds."""
    if s is None:
        return "none"
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if s % size == 0 and s >= size and (unit != "m" or s >= 120):
            return f"{s / size:g}{unit}"
    return f"{s:g}s" if s >= 1 else f"{s * 1_000:g}ms"


def mebibytes(count: int) -> str:
    return f"{count / (1 << 20):g} MiB"


def said(value: object) -> str:
    """A value as the page writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,g}" if value < 10_000 else f"{value:,}"
    text = str(value)
    return text if re.fullmatch(r"\d+(ms|s|m|h|d)", text) else f"`{text}`"


#: What the code says, by the first cell of a row.
EXPECTED: dict[str, str] = {
    "`max_attempts`": said(BUILT_IN.max_attempts),
    "`backoff.initial_s`": seconds(BUILT_IN.backoff.initial_s),
    "`backoff.factor`": said(BUILT_IN.backoff.factor),
    "`backoff.max_s`": seconds(BUILT_IN.backoff.max_s),
    "`backoff.jitter`": said(BUILT_IN.backoff.jitter),
    "`timeout`": seconds(BUILT_IN.timeout_s),
    "`keep_result`": "not kept" if BUILT_IN.keep_result_ms == 0 else "kept",
    "`expires`": "never" if EnqueueOptions().terms.expires_ms == 0 else "some day",
    "`lane`": EnqueueOptions().terms.lane or "none",
    "`cron`, its time zone": f"none, {Cron('@daily').tz}",
    "result of a task, encoded": mebibytes(MAX_RESULT_BYTES),
    "`priority`": said(EnqueueOptions().priority),
    "arguments of a task, encoded": mebibytes(MAX_ARGS_BYTES),
    "priority": f"±{MAX_PRIORITY:,}",
    "`max_attempts`, at most": f"{MAX_ATTEMPTS_LIMIT:,}",
    "tasks in one batch of `enqueue_many`": said(BATCH_TASKS),
    "bytes in one batch of `enqueue_many`": mebibytes(BATCH_BYTES),
    "a name that no worker knows is put aside": f"{PARKS_MAX} times, about half an hour",
    "deaths of its worker that a task may cause before it is dead": said(POLICY.crashes_max),
    "times a task is taken from dead workers at all before it is dead": said(POLICY.recoveries_max),
    "silence after which a worker may be declared dead": seconds(POLICY.worker_timeout_ms / 1_000),
    "beats in that time": said(BEATS_PER_TIMEOUT),
    "how long past its deadline the operator can vouch for a silent worker": seconds(POLICY.vouch_max_ms / 1_000),
    "Redis": said(DEFAULT_REDIS_URL),
    "waits before an enqueue whose reply was lost is sent again": ", ".join(map(seconds, RESEND_PAUSES_S)),
    "replicas that must confirm": "none" if ReplicaWait.from_env({}).replicas == 0 else "some",
    "how long for them": DEFAULT_TIMEOUT,
    "`FERRYMAN_REDIS_URL`": said(RedisSettings.from_env({}).url),
    "`FERRYMAN_PORT`": str(WORKER.port),
    "`FERRYMAN_WAIT_REPLICAS_TIMEOUT`": DEFAULT_TIMEOUT,
    "`FERRYMAN_CONCURRENCY`": said(WORKER.concurrency),
    "`FERRYMAN_WORKER_TIMEOUT`": f"what the queue says, {seconds(POLICY.worker_timeout_ms / 1_000)}",
    "`FERRYMAN_TASK_TIMEOUT`": seconds(WORKER.task_timeout_ms),
    "`FERRYMAN_SHUTDOWN_GRACE`": seconds(WORKER.grace_ms / 1_000),
    "`FERRYMAN_HANG_TIMEOUT`": seconds(WORKER.hang_timeout_ms / 1_000),
    "`FERRYMAN_LOG_TASKS`": said(WORKER.log_tasks),
    "`FERRYMAN_RUN_DIR`": said(WORKER.run_dir),
    "`FERRYMAN_TERMINATION_LOG`": said(WORKER.termination_log),
    "`FERRYMAN_API_HOST`": said(API.host),
    "`FERRYMAN_API_PORT`": str(API.port),
    "`FERRYMAN_API_BODY_LIMIT_BYTES`": mebibytes(API.body_limit_bytes),
    "`FERRYMAN_API_RATE_PER_S`": "no limit" if API.rate_per_s == 0 else said(API.rate_per_s),
    "`FERRYMAN_IMAGE_PULL_POLICY`": said(OPERATOR.pull_policy),
    "`FERRYMAN_CLUSTER_NAME`": said(OPERATOR.cluster_name),
    "`FERRYMAN_LEASE_NAMESPACE`": said(OPERATOR.lease_namespace),
    "`FERRYMAN_POLL_INTERVAL`": seconds(OPERATOR.poll_s),
    "`FERRYMAN_REDIS_TIMEOUT`": seconds(OPERATOR.redis_timeout_s),
    "`FERRYMAN_RESYNC_INTERVAL`": seconds(OPERATOR.resync_s),
    "`FERRYMAN_WATCH_PATIENCE`": seconds(OPERATOR.watch_patience_s),
}

#: Rows whose default is no value of its own: nothing to compare.
WORDS = {
    *("`run_in`", "`dead_letter_on`", "past runs kept with a task", "`queue`", "`FERRYMAN_LOG_FORMAT`"),
    *("`FERRYMAN_LOG_LEVEL`", "`FERRYMAN_API_RATE_BURST`", "`FERRYMAN_SCHEDULER_IMAGE`", "`FERRYMAN_WATCH_NAMESPACES`"),
}


def rows() -> Iterator[tuple[str, str]]:
    """The first two cells of each row of each table."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[1] not in ("default", "value"):
            yield cells[0], cells[1]


def crd_defaults() -> dict[str, str]:
    definitions = yaml.safe_load_all((ROOT / "manifests/crd.yaml").read_text(encoding="utf-8"))
    [crd] = [one for one in definitions if one["spec"]["names"]["kind"] == "TaskQueue"]

    def walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
        if "default" in schema and schema["default"] != {}:
            yield f"`{path}`", said(schema["default"])
        for name, inner in schema.get("properties", {}).items():
            yield from walk(inner, f"{path}.{name}" if path else name)

    return dict(walk(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], ""))


def variables() -> set[str]:
    """Every variable that some program of ours reads."""
    sources = [
        path
        for folder in ("src", "worker/src", "scheduler/src", "operator/src")
        for path in ROOT.glob(f"{folder}/**/*.py")
    ]
    found = {
        name for path in sources for name in re.findall(r'"(FERRYMAN_[A-Z_]*[A-Z])"', path.read_text(encoding="utf-8"))
    }
    return {f"`{name}`" for name in found}


ROWS = dict(rows())


@pytest.mark.parametrize(("name", "default"), {**EXPECTED, **crd_defaults()}.items())
def test_a_default_is_what_the_code_says(name: str, default: str) -> None:
    assert ROWS[name] == default


def test_each_row_is_compared_with_something() -> None:
    compared = {*EXPECTED, *crd_defaults(), *WORDS}
    unset = {name for name, default in ROWS.items() if default == "none" and name.startswith("`FERRYMAN_")}
    assert set(ROWS) - compared - unset == set()


def test_each_variable_has_a_row() -> None:
    assert variables() - set(ROWS) == set()


def test_no_row_is_about_a_variable_that_nobody_reads() -> None:
    assert {name for name in ROWS if name.startswith("`FERRYMAN_")} - variables() == set()


def test_variables_without_a_default_have_none() -> None:
    for settings in (WORKER, API):
        for name in ("pod_uid", "pod_name", "container", "token", "token_file", "enqueue_token_file", "origins"):
            assert not getattr(settings, name, None)


def test_the_built_in_policy_is_the_one_of_the_crd() -> None:
    """A queue runs on the same defaults with a TaskQueue and without."""
    crd = crd_defaults()
    pairs = {
        "retries.maxAttempts": said(POLICY.max_attempts),
        "retries.backoff.initial": seconds(POLICY.backoff_initial_ms / 1_000),
        "retries.backoff.factor": said(POLICY.backoff_factor),
        "retries.backoff.max": seconds(POLICY.backoff_max_ms / 1_000),
        "retries.backoff.jitter": said(POLICY.backoff_jitter),
        "crashes.max": said(POLICY.crashes_max),
        "crashes.workerTimeout": seconds(POLICY.worker_timeout_ms / 1_000),
        "retention.completed": seconds(POLICY.completed_ms / 1_000),
        "retention.completedMax": said(POLICY.completed_max),
        "retention.dead": seconds(POLICY.dead_ms / 1_000),
        "worker.concurrency": said(WORKER.concurrency),
    }
    assert {name: crd[f"`{name}`"] for name in pairs} == pairs
    assert parse_duration("30d") == POLICY.dead_ms / 1_000
