"""All queues on one page: which of them needs somebody, and since when.

At one queue the lines are that queue's; at 500 every graph shows the ten that matter most in the time that is shown,
and the table all. Queue figures come from the operator only, which may overlap with its successor for a scrape: `max`,
never `sum` over exporters.
"""

from grafana_foundation_sdk.builders import dashboard, table
from grafana_foundation_sdk.models.dashboard import VariableOption

from ferryman_dashboards.frame import label_variable, page, section
from ferryman_dashboards.panels import FAILURE_STEPS, LATE_STEPS, ZERO_IS_GOOD, Panels, Steps, figure, graph
from ferryman_dashboards.promql import ten
from ferryman_dashboards.queue_table import Column, queue_table

WHERE = 'queue_namespace=~"$namespace"'
BY_QUEUE = "queue_namespace, queue"

OLDEST, TARGET = "ferryman_queue_oldest_waiting_seconds", "ferryman_queue_target_latency_seconds"
ZERO_IS_USUAL: Steps = [(None, "green"), (1, "orange")]
LEGEND = "{{queue_namespace}}/{{queue}}"


def build() -> dashboard.Dashboard:
    """The dashboard `ferryman-overview`, with the variables datasource and namespace (several, or all)."""
    board = page(
        "ferryman-overview",
        "Ferryman overview",
        "All queues: which of them needs somebody, and since when. A queue's name in the table opens its own page.",
    )
    namespaces = label_variable("namespace", "Namespace", "label_values(ferryman_queue_tasks, queue_namespace)")
    everywhere = VariableOption(selected=True, text="All", value="$__all")
    board.with_variable(namespaces.multi(True).include_all(True).all_value(".+").current(everywhere))
    section(board, None, _now())
    section(board, "Queues", [_all_queues()])
    section(board, "Who is late", _late())
    section(board, "Traffic", _traffic())
    return board


def _each(metric: str, matchers: str = "") -> str:
    return f"max by ({BY_QUEUE}) ({metric}{{{WHERE}{matchers}}})"


def _tasks_in(state: str) -> str:
    return _each("ferryman_queue_tasks", f',state="{state}"')


def _events(event: str) -> str:
    return f'ferryman_queue_events_total{{{WHERE},event="{event}"}}'


def _rate_of(event: str) -> str:
    return f"max by ({BY_QUEUE}) (rate({_events(event)}[$__rate_interval]))"


def _failures() -> str:
    failed, completed = _rate_of("failed"), _rate_of("completed")
    return f"{failed} / clamp_min({completed} + {failed}, 0.001)"


def _ten(expr: str, over_time: str) -> str:
    return ten(expr, BY_QUEUE, f"max by ({BY_QUEUE}) ({over_time})")


def _ten_by_peak(metric: str, matchers: str = "") -> str:
    peak = f"max_over_time({metric}{{{WHERE}{matchers}}}[$__range] @ end())"
    return _ten(_each(metric, matchers), peak)


def _ten_by_count(expr: str, event: str) -> str:
    return _ten(expr, f"increase({_events(event)}[$__range] @ end())")


def _now() -> Panels:
    waiting, late = _tasks_in("waiting"), f"{_each(OLDEST)} > bool {_each(TARGET)}"
    return [
        figure("Queues", "TaskQueues that the operator measures.", f"count({waiting})", width=2),
        figure("Waiting", "Tasks that could run now, in all queues.", f"sum({waiting})", width=2),
        figure("Active", "Tasks that a worker holds, in all queues.", f"sum({_tasks_in('active')})", width=2),
        figure(
            "Throughput",
            "Tasks completed per second, in all queues.",
            f"sum({_rate_of('completed')})",
            width=3,
            unit="ops",
            decimals=1,
        ),
        figure(
            "Late queues",
            "Queues whose oldest task waits longer than their targetLatency. The table below has them on top.",
            f"sum({late})",
            width=3,
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "At the ceiling",
            "Late queues that have as many workers as their maxReplicas allows.",
            f"sum(({late}) * ({_each('ferryman_workers_wanted')} >= bool {_each('ferryman_workers_max')}))",
            width=2,
            steps=ZERO_IS_USUAL,
        ),
        figure(
            "On hold",
            "Queues that give out no tasks because a person or a stopPolicy says so.",
            f"sum({_each('ferryman_queue_hold')})",
            width=2,
            steps=ZERO_IS_USUAL,
        ),
        figure(
            "Dead",
            "Tasks that were given up and wait for a person, in all queues.",
            f"sum({_tasks_in('dead')})",
            width=2,
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "Unaccounted",
            "Accepted tasks that are in no state. Anything but 0 is a bug: report it with `ferryman stats --json`.",
            f"sum(abs({_each('ferryman_queue_unaccounted')}))",
            width=2,
            unit="none",
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "Without Redis",
            "Queues whose Redis the operator cannot reach. Their workers are held as they are.",
            f"sum(1 - min by ({BY_QUEUE}) (ferryman_queue_broker_reachable{{{WHERE}}}))",
            width=2,
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "May lose tasks",
            "Queues whose Redis says that it may forget tasks at a restart, or throw them away when it is full.",
            f"sum(1 - min by ({BY_QUEUE}) (ferryman_queue_redis_durable{{{WHERE}}}))",
            width=2,
            steps=ZERO_IS_GOOD,
        ),
    ]


def _all_queues() -> table.Panel:
    columns = [
        Column("Of target", f"{_each(OLDEST)} / {_each(TARGET)}", unit="percentunit", steps=LATE_STEPS),
        Column("Oldest", _each(OLDEST), unit="s"),
        Column("Target", _each(TARGET), unit="s"),
        Column("Waiting", _tasks_in("waiting")),
        Column("Active", _tasks_in("active")),
        Column("Scheduled", _tasks_in("delayed")),
        Column("Dead", _tasks_in("dead"), steps=ZERO_IS_GOOD),
        Column("Completed", _rate_of("completed"), unit="ops", decimals=1),
        Column("Failures", _failures(), unit="percentunit", decimals=1, steps=FAILURE_STEPS),
        Column("Wanted", _each("ferryman_workers_wanted")),
        Column("Ready", _each("ferryman_workers_ready")),
        Column("Unaccounted", _each("ferryman_queue_unaccounted"), unit="none", steps=ZERO_IS_GOOD),
    ]
    return queue_table(
        "All queues",
        "Now, one row a queue, the latest on top: the age of its oldest task as a share of its targetLatency. "
        "The queue's name opens its own page.",
        columns,
        sorted_by="Of target",
        height=12,
    )


def _late() -> Panels:
    missing = f"clamp_min({_each('ferryman_workers_wanted')} - {_each('ferryman_workers_ready')}, 0)"
    return [
        graph(
            "Oldest waiting task",
            "The ten queues where a task has waited longest. A straight climb means that nothing is being fetched.",
            [(_ten_by_peak(OLDEST), LEGEND)],
            width=8,
            unit="s",
        ),
        graph(
            "Waiting tasks",
            "The ten longest queues. Length alone is no trouble: compare it with the age of the oldest task.",
            [(_ten_by_peak("ferryman_queue_tasks", ',state="waiting"'), LEGEND)],
            width=8,
        ),
        graph(
            "Workers missing",
            "Wanted and not ready, in the ten queues that wanted most. A lasting gap: pods find no node, or do not "
            "become ready.",
            [(_ten(missing, f"max_over_time(ferryman_workers_wanted{{{WHERE}}}[$__range] @ end())"), LEGEND)],
            width=8,
            steps=ZERO_IS_USUAL,
        ),
    ]


def _traffic() -> Panels:
    return [
        graph(
            "Completed",
            "Tasks completed per second, the ten busiest queues.",
            [(_ten_by_count(_rate_of("completed"), "completed"), LEGEND)],
            width=8,
            unit="ops",
            stacked=True,
        ),
        graph(
            "Failure rate",
            "Share of runs that raised an error, in the ten queues with the most of them.",
            [(_ten_by_count(_failures(), "failed"), LEGEND)],
            width=8,
            unit="percentunit",
            steps=FAILURE_STEPS,
        ),
        graph(
            "Recovered",
            "Tasks taken back from dead workers per second, in the ten queues with the most. "
            "A lasting line: workers keep dying.",
            [(_ten_by_count(_rate_of("recovered"), "recovered"), LEGEND)],
            width=8,
            unit="ops",
        ),
    ]
