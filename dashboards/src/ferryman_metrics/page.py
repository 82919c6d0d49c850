"""docs/metrics.md: every metric with its labels, and the panels and alerts in which it is used."""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import yaml
from ferryman_dashboards import build_all, list_queries

from ferryman_metrics.exercise import NAMESPACE, QUEUE
from ferryman_metrics.exported import Exported, exported
from ferryman_metrics.labels import LABELS, label

ALERTS = Path(__file__).parents[3] / "charts" / "ferryman" / "alerts"

HEAD = """# Metrics

<!-- Written by `make docs` from what the programs export; a test compares. -->

Each program answers `GET /metrics` in Prometheus' text format. Times are in seconds, sizes in bytes, `_total` stands on
counters only, and no label holds a task's id, a pod's name or an error's text. Prometheus adds `namespace`, `pod`,
`job` and `instance`.

Figures of a whole queue come from the operator alone. It may overlap with its successor for a scrape, so reduce them
with `max`; add up only what workers, schedulers and API count, each its own. A queue that cannot be measured has no
figures, rather than old ones; `ferryman_queue_broker_reachable` says why.

Some metrics are exported by several programs, and what they tell is counted once: `ferryman_recovered_total` by whoever
took the tasks back, `ferryman_redis_round_trip_seconds` by whoever asked. A process's counts end with it, and
`ferryman recover` is never scraped; `ferryman_queue_events_total`, which Redis keeps, is exact. What a new worker took
over shows from its second scrape on: Prometheus sees no increase in a counter that begins above 0.

Beside these each program has the `process_…` figures of Prometheus' Python client. A worker's are those of its main
process, which runs all tasks but those with `run_in="process"`; `ferryman_worker_cpu_seconds_total` and
`ferryman_worker_resident_memory_bytes` have all of its processes. There are no `…_created` series.
"""

WHO = {
    "worker": "Port `http` of each worker pod. It counts what it did itself since it started.",
    "scheduler": "Port `http` of each scheduler pod.",
    "operator": "Port `http` of the operator's pod.",
    "API": "The API's own port, `/metrics`. It needs no token.",
}

UNITS = {"seconds": "seconds", "bytes": "bytes", "tasks": "tasks"}


def render() -> str:
    """The page's text."""
    metrics = exported()
    used = _uses(metrics)
    parts = [HEAD, _open_labels()]
    for component, group in groupby(metrics, key=lambda metric: metric.component):
        title = component[0].upper() + component[1:]
        parts.append(f"\n## {title}\n\n{WHO[component]}\n")
        parts += [_entry(metric, used[metric.name]) for metric in group]
    return "".join(parts)


def _entry(metric: Exported, used: str) -> str:
    kind = f"{metric.type}, in {unit}" if (unit := _unit(metric)) else metric.type
    lines = [f"\n### `{metric.name}`\n", f"{metric.help} ({kind})\n"]
    if metric.labels:
        lines.append(f"- labels: {', '.join(f'`{name}`' for name in metric.labels)}")
    lines += [_values(metric, name) for name in metric.labels if not label(metric.name, name).bound]
    if metric.buckets:
        lines.append(f"- buckets up to: {', '.join(f'{bound:g}' for bound in metric.buckets)}")
    lines.append(f"- used in: {used or 'no panel and no alert; it is there to ask for'}")
    return "\n".join(lines) + "\n"


def _open_labels() -> str:
    rows = [f"| `{name}` | {one.meaning} | {one.bound} |" for name, one in LABELS.items() if one.bound]
    head = "The labels whose values are yours; all others have the values listed with their metrics."
    return "\n".join(["", "## Labels", "", head, "", "| label | meaning | bound |", "|---|---|---|", *rows, ""])


def _values(metric: Exported, name: str) -> str:
    known = label(metric.name, name)
    if known.values:
        rows = [f"  - `{value}`: {known.values[value]}" for value in known.values if value in metric.labels[name]]
        return "\n".join([f"- `{name}`: {known.meaning}", *rows])
    values = ", ".join(f"`{value}`" for value in sorted(metric.labels[name]))
    return f"- `{name}`: {known.meaning} One of {values}."


def _unit(metric: Exported) -> str:
    """The last word of the name, if it is a unit; a moment says so itself."""
    words = metric.name.removesuffix("_total").split("_")
    if words[-2:] == ["timestamp", "seconds"]:
        return "seconds since 1970"
    return UNITS.get(words[-1], "")


def _uses(metrics: list[Exported]) -> dict[str, str]:
    """By metric: the alerts and, dashboard by dashboard, the panels that ask for it."""
    used: dict[str, dict[str, list[str]]] = {metric.name: {} for metric in metrics}
    for place, what, expr in (*_alerts(), *_panels()):
        for name in sorted(set(re.findall(r"ferryman_\w+", expr))):
            found = used.get(re.sub(r"_(bucket|sum|count)$", "", name), {}).setdefault(place, [])
            if what not in found:
                found.append(what)
    return {name: "; ".join(f"{at}: {', '.join(what)}" for at, what in places.items()) for name, places in used.items()}


def _panels() -> Iterator[tuple[str, str, str]]:
    variables = {"namespace": NAMESPACE, "queue": QUEUE, "__rate_interval": "1m"}
    for query in list_queries(build_all(), variables):
        if query.panel[0] not in "$@":
            yield f"dashboard {query.dashboard}", f"“{query.panel}”", query.expr


def _alerts() -> Iterator[tuple[str, str, str]]:
    for path in sorted(ALERTS.glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            recorded = {rule["record"]: rule["expr"] for rule in group["rules"] if "record" in rule}
            for rule in (rule for rule in group["rules"] if "alert" in rule):
                name = rule["alert"]
                page = re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
                below = [expr for record, expr in recorded.items() if record in rule["expr"]]
                yield "alerts", f"[{name}](runbooks/{page}.md)", " ".join((rule["expr"], *below))
