"""All that is known of one task, as text for a screen of any width. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from ferryman.cli.harmless import harmless, harmless_lines
from ferryman.cli.output import duration
from ferryman.task import Task
from ferryman.task_view import progress_text, task_view

#: Arguments and results may have a megabyte; a screen shows where they begin.
_VALUE_CHARS: Final = 2_000


def task_text(task: Task) -> str:
    """What happened first, then where: error and traceback, the runs that failed, evidence, and what it was given."""
    view = task_view(task)
    error, evidence, history = view.pop("error") or "", view.pop("evidence"), view.pop("history")
    parts = [f"{task.id}  {task.state.value}  {task.name}"]
    if error:
        parts.append("ERROR\n" + _indented(harmless_lines(str(error).rstrip())))
    if history:
        parts.append("RUNS THAT DID NOT END WELL\n" + "\n".join(_run(run) for run in history))
    if evidence:
        parts.append("CRASHES\n" + "\n".join(f"  {_short(crash)}" for crash in evidence))
    parts.append("TASK\n" + _fields(view))
    return "\n\n".join(parts)


def _run(run: dict[str, Any]) -> str:
    ran = "" if run["run_s"] is None else f" after {_ran(run['run_s'])}"
    lines = [f"attempt {run['attempt']}: {run['outcome']}{ran}, {run['ended_at']}", f"  on {harmless(run['worker'])}"]
    if run["error"]:
        lines.append(f"  {harmless(run['error'])}")
    return "\n".join(f"  {line}" for line in lines)


def _ran(run_s: float) -> str:
    return duration(run_s) if run_s >= 1 else f"{run_s * 1000:.0f}ms"


def _fields(view: dict[str, Any]) -> str:
    rows = {name: value for name, value in view.items() if name not in ("id", "task", "state")}
    rows = {name: value for name, value in rows.items() if value not in (None, "", 0)}
    if isinstance(rows.get("progress"), dict):
        rows["progress"] = progress_text(rows["progress"])
    width = max(map(len, rows), default=0)
    return "\n".join(f"  {name.ljust(width)}  {_short(value)}" for name, value in rows.items())


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    cut = f"… ({len(text):,} characters)" if len(text) > _VALUE_CHARS else ""
    return harmless(text[:_VALUE_CHARS]) + cut


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
