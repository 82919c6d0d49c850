"""All queues on one page: which of them needs somebody, and since when.

At one queue the lines are that queue's; at 500 every graph shows the ten that matter most, and the table all.
Queue figures come from the operator only, which may overlap with its successor for a scrape: `max`, never `sum`
over exporters.
"""

from grafana_foundation_sdk.builders import dashboard, table
from grafana_foundation_sdk.models.dashboard import VariableOption

from ferryman_dashboards.frame import label_variable, page, section
from ferryman_dashboards.panels import ZERO_IS_GOOD, Panels, Steps, figure, graph
from ferryman_dashboards.queue_table import Column, queue_table

WHERE = 'queue_namespace=~"$namespace"'
BY_QUEUE = "queue_namespace, queue"

AGE_STEPS: Steps = [(None, "green"), (60, "orange"), (300, "red")]
FAILURE_STEPS: Steps = [(None, "green"), (0.05, "orange"), (0.25, "red")]
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


def _rate_of(event: str) -> str:
    rate = f'rate(ferryman_queue_events_total{{{WHERE},event="{event}"}}[$__rate_interval])'
    return f"max by ({BY_QUEUE}) ({rate})"


def _failures() -> str:
    failed, completed = _rate_of("failed"), _rate_of("completed")
    return f"{failed} / clamp_min({completed} + {failed}, 0.001)"


def _now() -> Panels:
    oldest = _each("ferryman_queue_oldest_waiting_seconds")
    return [
        figure("Queues", "TaskQueues that the operator measures.", f"count({_tasks_in('waiting')})", width=2),
        figure("Waiting", "Tasks that could run now, in all queues.", f"sum({_tasks_in('waiting')})", width=3),
        figure("Active", "Tasks that a worker holds, in all queues.", f"sum({_tasks_in('active')})", width=3),
        figure(
            "Throughput",
            "Tasks completed per second, in all queues.",
            f"sum({_rate_of('completed')})",
            width=3,
            unit="ops",
            decimals=1,
        ),
        figure(
            "Oldest waiting",
            "Age of the task that has waited longest in any queue. Compare it with that queue's targetLatency.",
            f"max({oldest})",
            width=3,
            unit="s",
            decimals=0,
            steps=AGE_STEPS,
        ),
        figure(
            "Dead",
            "Tasks that were given up and wait for a person, in all queues.",
            f"sum({_tasks_in('dead')})",
            width=3,
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
            "Queues without Redis",
            "Queues whose Redis the operator cannot reach. Their workers are held as they are.",
            f"sum(1 - min by ({BY_QUEUE}) (ferryman_queue_broker_reachable{{{WHERE}}}))",
            width=3,
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
        Column("Waiting", _tasks_in("waiting")),
        Column("Active", _tasks_in("active")),
        Column("Scheduled", _tasks_in("delayed")),
        Column("Dead", _tasks_in("dead"), steps=ZERO_IS_GOOD),
        Column("Oldest", _each("ferryman_queue_oldest_waiting_seconds"), unit="s", steps=AGE_STEPS),
        Column("Target", _each("ferryman_queue_target_latency_seconds"), unit="s"),
        Column("Completed", _rate_of("completed"), unit="ops", decimals=1),
        Column("Failures", _failures(), unit="percentunit", decimals=1, steps=FAILURE_STEPS),
        Column("Wanted", _each("ferryman_workers_wanted")),
        Column("Ready", _each("ferryman_workers_ready")),
        Column("Unaccounted", _each("ferryman_queue_unaccounted"), unit="none", steps=ZERO_IS_GOOD),
    ]
    return queue_table(
        "All queues",
        "Now, one row a queue, the one with the oldest waiting task on top. Its name opens its own page.",
        columns,
        sorted_by="Oldest",
        height=10,
    )


def _late() -> Panels:
    return [
        graph(
            "Oldest waiting task",
            "The ten queues where a task has waited longest. A straight climb means that nothing is being fetched.",
            [(f"topk(10, {_each('ferryman_queue_oldest_waiting_seconds')})", LEGEND)],
            width=8,
            unit="s",
            steps=AGE_STEPS,
        ),
        graph(
            "Waiting tasks",
            "The ten longest queues. Length alone is no trouble: compare it with the age of the oldest task.",
            [(f"topk(10, {_tasks_in('waiting')})", LEGEND)],
            width=8,
        ),
        graph(
            "Workers missing",
            "Wanted and not ready, the ten largest gaps. A lasting one: pods find no node, or do not become ready.",
            [
                (
                    f"topk(10, clamp_min({_each('ferryman_workers_wanted')} - {_each('ferryman_workers_ready')}, 0))",
                    LEGEND,
                )
            ],
            width=8,
        ),
    ]


def _traffic() -> Panels:
    return [
        graph(
            "Completed",
            "Tasks completed per second, the ten busiest queues.",
            [(f"topk(10, {_rate_of('completed')})", LEGEND)],
            width=8,
            unit="ops",
            stacked=True,
        ),
        graph(
            "Failure rate",
            "Share of runs that raised an error, the ten highest.",
            [(f"topk(10, {_failures()})", LEGEND)],
            width=8,
            unit="percentunit",
        ),
        graph(
            "Recovered",
            "Tasks taken back from dead workers per second, the ten highest. A lasting line: workers keep dying.",
            [(f"topk(10, {_rate_of('recovered')})", LEGEND)],
            width=8,
            unit="ops",
        ),
    ]
