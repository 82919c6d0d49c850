"""Settings of a worker process, read once from its environment by the command.

Durations are written as people write them ("15s", "5m", "250ms", or plain seconds) and kept in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ferryman.durations import duration_ms
from ferryman.settings import BadSetting

#: Beats in one worker timeout: one lost beat, or ten, must not make a worker suspected.
BEATS_PER_TIMEOUT = 15


class WorkerSettings(msgspec.Struct, frozen=True):
    """What a worker is told from outside. All durations are milliseconds."""

    redis_url: str
    concurrency: int = 10
    #: The silence after which this worker may be declared dead; None = what the queue's policy says.
    timeout_ms: int | None = None
    #: Bound on one run of a task where neither task nor policy names one; None = unbounded.
    task_timeout_ms: int | None = None
    #: How long running tasks may go on after SIGTERM.
    grace_ms: int = 25_000
    #: How long the event loop may stand still before the worker counts as hung: beats stop, /livez fails.
    hang_timeout_ms: int = 120_000
    port: int = 8080
    pod_uid: str = ""
    pod_name: str = ""
    container: str = ""
    run_dir: Path = Path("/tmp")  # noqa: S108  (a pod's emptyDir; the lock file's name carries the pod's uid)
    termination_log: Path = Path("/dev/termination-log")
    #: Say of every task when it starts and when it is completed.
    log_tasks: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str], redis_url: str, concurrency: int | None = None) -> WorkerSettings:
        """Reads the FERRYMAN_* variables; a `concurrency` given on the command line wins.

        Raises BadSetting, which names the variable.
        """
        timeout_ms = _duration(env, "FERRYMAN_WORKER_TIMEOUT", None)
        if timeout_ms is not None and timeout_ms < 1_000:
            raise BadSetting("FERRYMAN_WORKER_TIMEOUT", "under 1s any hiccup would be taken for death")
        usual = cls(redis_url)
        return cls(
            redis_url=redis_url,
            concurrency=concurrency or _whole(env, "FERRYMAN_CONCURRENCY", usual.concurrency, least=1),
            timeout_ms=timeout_ms,
            task_timeout_ms=_duration(env, "FERRYMAN_TASK_TIMEOUT", None),
            grace_ms=_duration(env, "FERRYMAN_SHUTDOWN_GRACE", usual.grace_ms) or 0,
            hang_timeout_ms=_duration(env, "FERRYMAN_HANG_TIMEOUT", usual.hang_timeout_ms) or usual.hang_timeout_ms,
            port=_whole(env, "FERRYMAN_PORT", usual.port, least=0, most=65_535),
            pod_uid=env.get("FERRYMAN_POD_UID", ""),
            pod_name=env.get("FERRYMAN_POD_NAME", ""),
            container=env.get("FERRYMAN_CONTAINER", ""),
            run_dir=Path(env.get("FERRYMAN_RUN_DIR") or usual.run_dir),
            termination_log=Path(env.get("FERRYMAN_TERMINATION_LOG") or usual.termination_log),
            log_tasks=_yes_or_no(env, "FERRYMAN_LOG_TASKS"),
        )


def _duration(env: Mapping[str, str], name: str, default: int | None) -> int | None:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        return duration_ms(text)
    except ValueError as error:
        raise BadSetting(name, str(error)) from error


def _yes_or_no(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").strip().lower()
    if text not in ("", "0", "1", "false", "true"):
        raise BadSetting(name, f"{text!r} is neither true nor false")
    return text in ("1", "true")


def _whole(env: Mapping[str, str], name: str, default: int, *, least: int, most: int = 1_000_000) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        number = int(text)
    except ValueError as error:
        raise BadSetting(name, f"{text!r} is not a whole number") from error
    if not least <= number <= most:
        raise BadSetting(name, f"{number} is not within {least} and {most}")
    return number
