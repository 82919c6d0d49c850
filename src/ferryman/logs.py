"""Logging set-up of a process: one line per record on stderr, as text for people or JSON for machines.

Whatever a call passes in `extra` (task_id, queue, task, attempt) is kept: in text as ` key=value` at the end of the
line, in JSON as fields. What is logged inside a handler gets these fields by itself, from any library and in any
thread, coroutine or pool process. So one grep for a task id tells the task's story.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TextIO

from ferryman.context import current_run
from ferryman.headers import trace_id
from ferryman.settings import BadSetting

#: Says more about the present moment: tracing adds its ids. What a record has already stays.
FieldSource = Callable[[], Mapping[str, object]]

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_OF_EVERY_RECORD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}


def configure(format_name: str = "text", level: str = "INFO", *, stream: TextIO | None = None) -> None:
    """Sends all logging of this process to `stream` (default stderr), replacing what was configured before.

    `format_name` is `text` or `json`. Raises BadSetting for another format or an unknown level.
    """
    formatters: dict[str, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}
    if format_name not in formatters:
        raise BadSetting("FERRYMAN_LOG_FORMAT", f"{format_name!r} is neither text nor json")
    if level.upper() not in _LEVELS:
        raise BadSetting("FERRYMAN_LOG_LEVEL", f"{level!r} is none of {', '.join(_LEVELS)}")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatters[format_name]())
    handler.addFilter(TaskFields())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def configure_from_env(env: Mapping[str, str]) -> None:
    """`configure` from FERRYMAN_LOG_FORMAT (text) and FERRYMAN_LOG_LEVEL (INFO)."""
    configure(env.get("FERRYMAN_LOG_FORMAT", "text"), env.get("FERRYMAN_LOG_LEVEL", "INFO"))


def name_worker(worker: str) -> None:
    """This process is that worker from now on: records about tasks say so."""
    _process.worker = worker


def worker_name() -> str:
    """Which worker this process is; empty when it is none."""
    return _process.worker


def add_fields(source: FieldSource) -> None:
    """Lets `source` add fields to every record of this process that goes through a TaskFields; once, if repeated."""
    if source not in _process.sources:
        _process.sources.append(source)


def trace_fields(headers: Mapping[str, str]) -> dict[str, object]:
    """`trace_id`, when the headers of a task belong to a trace."""
    found = trace_id(headers) if headers else None
    return {"trace_id": found} if found else {}


class TaskFields(logging.Filter):
    """Adds to a record which task it is about: for logging that was not set up by `configure`, add it to a handler.

    A record that names a task keeps its own fields; any other gets those of the run that logs it, if there is one.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        fields = record.__dict__
        run = current_run.get(None)
        if run is not None and fields.get("task_id", run.task_id) == run.task_id:
            fields.setdefault("task_id", run.task_id)
            fields.setdefault("queue", run.queue)
            fields.setdefault("task", run.task)
            fields.setdefault("attempt", run.attempt)
        if _process.worker and "task_id" in fields:
            fields.setdefault("worker", _process.worker)
        for source in _process.sources:
            for name, value in source().items():
                fields.setdefault(name, value)
        if run is not None and run.headers and fields.get("task_id") == run.task_id:
            for name, value in trace_fields(run.headers).items():
                fields.setdefault(name, value)
        return True


class _Process:
    """What this process says of itself."""

    def __init__(self) -> None:
        self.worker = ""
        self.sources: list[FieldSource] = []


_process = _Process()


class TextFormatter(logging.Formatter):
    """`12:00:01.123 INFO  ferryman.promoter: moved 3 tasks queue=emails`, in local time."""

    def format(self, record: logging.LogRecord) -> str:
        time = _time_of(record).astimezone().strftime("%H:%M:%S.%f")[:-3]
        fields = "".join(f" {name}={value}" for name, value in _extras(record))
        line = f"{time} {record.levelname:<7} {record.name}: {record.getMessage()}{fields}"
        trace = _trace_of(self, record)
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time (RFC 3339, UTC), level, logger, message, the extras, error (a traceback)."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _time_of(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **dict(_extras(record)),
        }
        if trace := _trace_of(self, record):
            fields["error"] = trace
        return json.dumps(fields, default=str, ensure_ascii=False)


def _time_of(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in record.__dict__.items() if name not in _OF_EVERY_RECORD)


def _trace_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    trace = formatter.formatException(record.exc_info) if record.exc_info else ""
    return trace or (record.exc_text or "")
