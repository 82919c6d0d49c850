"""One queue: is it well, and if not, why not.

Two sources. The operator exports what Redis knows of a queue, also at zero workers; it may overlap with its
successor for a scrape, hence `max` and never `sum`. Workers run in the queue's namespace and each count their
own, hence `sum`.
"""

from grafana_foundation_sdk.builders import dashboard

from ferryman_dashboards.frame import event, label_variable, page, section
from ferryman_dashboards.panels import KEEPS, REACHABLE, ZERO_IS_GOOD, Panels, Steps, figure, graph

OPERATOR = 'queue_namespace="$namespace",queue="$queue"'
PODS = 'namespace="$namespace",queue="$queue"'

FAILURE_STEPS: Steps = [(None, "green"), (0.05, "orange"), (0.25, "red")]
AGE_STEPS: Steps = [(None, "green"), (60, "orange"), (300, "red")]


def build() -> dashboard.Dashboard:
    """The dashboard `ferryman-queue`, with the variables datasource, namespace and queue."""
    board = page(
        "ferryman-queue",
        "Ferryman queue",
        "One queue: what waits, what runs, how fast and how well, and whether anything was lost.",
    )
    board.with_variable(label_variable("namespace", "Namespace", "label_values(ferryman_queue_tasks, queue_namespace)"))
    board.with_variable(
        label_variable("queue", "Queue", 'label_values(ferryman_queue_tasks{queue_namespace="$namespace"}, queue)')
    )
    board.annotation(
        event("Scaled", f"max(changes(ferryman_workers_wanted{{{OPERATOR}}}[$__rate_interval])) > 0", "blue")
    )
    board.annotation(event("Recovered", f"{_rate_of('recovered')} > 0", "orange"))
    section(board, None, _now())
    section(board, "Tasks", _tasks())
    section(board, "Latency", _latency())
    section(board, "Workers", _workers())
    section(board, "Faults", _faults())
    return board


def _tasks_in(state: str) -> str:
    return f'max(ferryman_queue_tasks{{{OPERATOR},state="{state}"}})'


def _gauge(metric: str) -> str:
    return f"max({metric}{{{OPERATOR}}})"


def _rate_of(event: str) -> str:
    return f'max(rate(ferryman_queue_events_total{{{OPERATOR},event="{event}"}}[$__rate_interval]))'


def _quantiles(histogram: str) -> list[tuple[str, str]]:
    buckets = f"sum by (le) (rate({histogram}_bucket{{{PODS}}}[$__rate_interval]))"
    return [(f"histogram_quantile({q}, {buckets})", name) for q, name in [(0.5, "p50"), (0.99, "p99")]]


def _now() -> Panels:
    # An idle queue has no failures: the divisor never gets to zero.
    failed, completed = _rate_of("failed"), _rate_of("completed")
    failure_rate = f"{failed} / clamp_min({completed} + {failed}, 0.001)"
    return [
        figure(
            "Waiting",
            "Tasks that could run now, including those being handed to a worker.",
            _tasks_in("waiting"),
            width=3,
        ),
        figure("Active", "Tasks that a worker holds.", _tasks_in("active"), width=3),
        figure(
            "Scheduled",
            "Tasks with a time in the future: delayed by their producer, or waiting for their next attempt.",
            _tasks_in("delayed"),
            width=3,
        ),
        figure("Workers", "Workers that are registered and alive.", _gauge("ferryman_queue_workers"), width=3),
        figure("Throughput", "Tasks completed per second.", completed, width=3, unit="ops", decimals=1),
        figure(
            "Failure rate",
            "Share of runs that raised an error. Most of them are retried; Dead counts those that were given up.",
            failure_rate,
            width=3,
            unit="percentunit",
            decimals=1,
            steps=FAILURE_STEPS,
        ),
        figure(
            "Dead",
            "Tasks that were given up and wait for a person: `ferryman tasks QUEUE --state dead`, then `revive`.",
            _tasks_in("dead"),
            width=3,
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "Oldest waiting",
            "How long the task that has waited longest has waited. Compare it with the queue's targetLatency.",
            _gauge("ferryman_queue_oldest_waiting_seconds"),
            width=3,
            unit="s",
            decimals=0,
            steps=AGE_STEPS,
        ),
    ]


def _tasks() -> Panels:
    return [
        graph(
            "Tasks by state",
            "What is in the queue. Waiting that grows while workers are ready: the workers are too slow.",
            [
                (_tasks_in("waiting"), "waiting"),
                (_tasks_in("active"), "active"),
                (_tasks_in("delayed"), "scheduled"),
            ],
            width=12,
            stacked=True,
        ),
        graph(
            "In and out",
            "Tasks per second that came in, completed, raised an error, or were discarded. "
            "More in than completed: the queue grows.",
            [(_rate_of(event), event) for event in ("enqueued", "completed", "failed", "discarded")],
            width=12,
            unit="ops",
        ),
    ]


def _latency() -> Panels:
    return [
        graph(
            "Oldest waiting task",
            "Age of the task that has waited longest, and how long one may wait by the queue's targetLatency. "
            "A straight climb means that nothing is being fetched.",
            [
                (_gauge("ferryman_queue_oldest_waiting_seconds"), "oldest"),
                (_gauge("ferryman_queue_target_latency_seconds"), "target"),
            ],
            width=8,
            unit="s",
        ),
        graph(
            "Time to start",
            "From the moment a task could run until a worker ran it: half of the tasks, and all but one in a hundred.",
            _quantiles("ferryman_task_wait_seconds"),
            width=8,
            unit="s",
        ),
        graph(
            "Run time",
            "How long the tasks' own code takes: half of the runs, and all but one in a hundred.",
            _quantiles("ferryman_task_run_seconds"),
            width=8,
            unit="s",
        ),
    ]


def _workers() -> Panels:
    decisions = f"ferryman_operator_decisions_total{{{OPERATOR}}}"
    return [
        graph(
            "Workers wanted and ready",
            "What the operator decided and what is there. A lasting gap: pods find no node, or do not become ready.",
            [
                (_gauge("ferryman_workers_wanted"), "wanted"),
                (_gauge("ferryman_workers_ready"), "ready"),
                (_gauge("ferryman_queue_workers"), "registered"),
            ],
            width=8,
        ),
        graph(
            "Scaling decisions",
            "Why the operator wants as many workers as it wants: its decisions per second, by reason.",
            [(f"max by (reason) (rate({decisions}[$__rate_interval]))", "{{reason}}")],
            width=8,
            unit="ops",
            stacked=True,
        ),
        graph(
            "Tasks in progress",
            "Tasks whose code runs in a worker right now. Flat at workers times concurrency: the workers are full.",
            [(f"sum(ferryman_tasks_in_progress{{{PODS}}})", "in progress")],
            width=8,
        ),
    ]


def _faults() -> Panels:
    return [
        graph(
            "Outcomes of runs",
            "How runs ended, per second, as the workers counted them. Parked: no worker knows the task's name.",
            [(f"sum by (outcome) (rate(ferryman_tasks_total{{{PODS}}}[$__rate_interval]))", "{{outcome}}")],
            width=8,
            unit="ops",
            stacked=True,
        ),
        graph(
            "Recovered",
            "Tasks taken back from dead workers, per second. A lasting line: a task that kills its worker, "
            "or too little memory.",
            [(_rate_of("recovered"), "recovered")],
            width=8,
            unit="ops",
        ),
        graph(
            "Dead and parked",
            "Tasks that were given up, and tasks whose name no worker knows (often a deployment under way).",
            [(_tasks_in("dead"), "dead"), (_tasks_in("parked"), "parked")],
            width=8,
        ),
        figure(
            "Unaccounted",
            "Accepted tasks that are in no state. Anything but 0 is a bug: report it with `ferryman stats --json`.",
            f"max(abs(ferryman_queue_unaccounted{{{OPERATOR}}}))",
            width=6,
            unit="none",
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "Redis",
            "Whether the operator reaches the queue's Redis. While it does not, the number of workers is held.",
            f"min(ferryman_queue_broker_reachable{{{OPERATOR}}})",
            width=6,
            unit="none",
            steps=[(None, "red"), (1, "green")],
            mappings=REACHABLE,
        ),
        figure(
            "Redis keeps tasks",
            "Whether Redis says that tasks survive its restart and a full memory. "
            "The condition RedisDurable of the TaskQueue gives the reason; no figure: Redis does not say.",
            f"min(ferryman_queue_redis_durable{{{OPERATOR}}})",
            width=6,
            unit="none",
            steps=[(None, "red"), (1, "green")],
            mappings=KEEPS,
        ),
        figure(
            "Workers' errors with Redis",
            "Calls of workers to Redis that failed, per second. A burst at a failover is normal: workers reconnect.",
            f"sum(rate(ferryman_broker_errors_total{{{PODS}}}[$__rate_interval]))",
            width=6,
            unit="ops",
            steps=[(None, "green"), (0.1, "orange")],
        ),
    ]
