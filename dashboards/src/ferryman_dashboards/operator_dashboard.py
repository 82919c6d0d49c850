"""The machinery behind all queues: do operator, schedulers and API do their work.

Over everything that one Prometheus scrapes; figures of many queues are added up or reduced to the worst ten.
"""

from grafana_foundation_sdk.builders import dashboard

from ferryman_dashboards.frame import page, section
from ferryman_dashboards.panels import ZERO_IS_GOOD, Panels, Steps, figure, graph
from ferryman_dashboards.promql import quantile, ten

#: A pass takes about a second. An age above these means a stuck loop, not a slow one.
PASS_AGE_STEPS: Steps = [(None, "green"), (15, "orange"), (60, "red")]
A_SECOND: Steps = [(None, "green"), (1, "orange")]


def build() -> dashboard.Dashboard:
    """The dashboard `ferryman-operator`; its only variable is the datasource."""
    board = page(
        "ferryman-operator",
        "Ferryman operator",
        "Operator, schedulers and API: whether they pass, how long it takes them, and what they decide.",
    )
    section(board, None, _now())
    section(board, "Operator", _operator())
    section(board, "Schedulers", _schedulers())
    section(board, "API", _api())
    section(board, "What they use", _resources())
    return board


def _p99(histogram: str, by: str = "", only: str = "") -> str:
    return quantile(0.99, histogram, by, only)


def _now() -> Panels:
    answers = "sum(rate(ferryman_http_requests_total[$__rate_interval]))"
    errors = 'sum(rate(ferryman_http_requests_total{status=~"5.."}[$__rate_interval]))'
    last_passes = "max by (namespace, loop) (ferryman_scheduler_last_pass_timestamp_seconds)"
    return [
        figure(
            "Operator's last pass",
            "Seconds since the operator last went over all queues. It passes about once a second.",
            "time() - max(ferryman_operator_last_pass_timestamp_seconds)",
            width=4,
            unit="s",
            decimals=0,
            steps=PASS_AGE_STEPS,
        ),
        figure(
            "Slowest scheduler's last pass",
            "Seconds since the scheduler that is furthest behind last passed. Behind: late delayed tasks and recovery.",
            f"max(time() - {last_passes})",
            width=4,
            unit="s",
            decimals=0,
            steps=PASS_AGE_STEPS,
        ),
        figure(
            "Queues",
            "TaskQueues that the operator measures.",
            'count(max by (queue_namespace, queue) (ferryman_queue_tasks{state="waiting"}))',
            width=4,
        ),
        figure(
            "Queues without Redis",
            "Queues whose Redis the operator cannot reach. Their workers are held as they are.",
            "sum(1 - min by (queue_namespace, queue) (ferryman_queue_broker_reachable))",
            width=4,
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "Queues without scheduler",
            "Queues that have no ready scheduler: their delayed tasks wait, and only the CronJob recovers.",
            "sum(max by (queue_namespace, queue) (ferryman_queue_scheduler_ready) < bool 1)",
            width=4,
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "API errors",
            "Share of the API's answers that are 5xx: it failed itself, or its Redis did.",
            f"({errors} or vector(0)) / clamp_min({answers}, 0.001)",
            width=4,
            unit="percentunit",
            decimals=1,
            steps=[(None, "green"), (0.01, "orange"), (0.05, "red")],
        ),
    ]


def _operator() -> Panels:
    return [
        graph(
            "Operator pass",
            "How long a pass over the queues of one Redis takes, 99 of 100 times. Above a second, scaling gets slow.",
            [(_p99("ferryman_operator_pass_seconds"), "p99")],
            width=8,
            unit="s",
            steps=A_SECOND,
        ),
        graph(
            "Decisions by reason",
            "What the operator decided for all queues together, per second.",
            [("sum by (reason) (rate(ferryman_operator_decisions_total[$__rate_interval]))", "{{reason}}")],
            width=8,
            unit="ops",
            stacked=True,
        ),
        graph(
            "Redis round trip",
            "From a question to Redis to its answer, all but one in a hundred, by who asked. One that is high alone is "
            "busy itself; all together: Redis is, or the network. The workers' are on the page of their queue.",
            # Those of all workers would be a hundred times as many series as all others together.
            [
                (
                    _p99("ferryman_redis_round_trip_seconds", by="component", only='component!~"worker|beat"'),
                    "{{component}}",
                )
            ],
            width=8,
            unit="s",
            steps=[(None, "green"), (0.1, "orange")],
        ),
    ]


def _schedulers() -> Panels:
    by = "namespace, queue"
    peak = f"max by ({by}) (max_over_time(ferryman_promotion_lag_seconds[$__range] @ end()))"
    recovered = 'rate(ferryman_recovered_total{to="waiting"}[$__rate_interval])'
    lag = ten(f"max by ({by}) (ferryman_promotion_lag_seconds)", by, peak)
    return [
        graph(
            "Promotion lag",
            "How late due tasks become waiting, for the ten queues that are latest.",
            [(lag, "{{namespace}}/{{queue}}")],
            width=6,
            unit="s",
            steps=A_SECOND,
        ),
        graph(
            "Scheduler pass",
            "How long one pass of each loop takes, all but one in a hundred.",
            [(_p99("ferryman_scheduler_pass_seconds", by="loop"), "{{loop}}")],
            width=6,
            unit="s",
        ),
        graph(
            "Promoted and trimmed",
            "Tasks per second that were due, or were forgotten or discarded after their retention.",
            [
                ("sum(rate(ferryman_promoted_total[$__rate_interval]))", "promoted"),
                ("sum by (state) (rate(ferryman_trimmed_total[$__rate_interval]))", "trimmed {{state}}"),
            ],
            width=6,
            unit="ops",
        ),
        graph(
            "Recovered by cause",
            "Tasks of dead workers that are back in waiting, per second and for all queues: taken back by schedulers, "
            "and by workers that run again.",
            [(f"sum by (cause) ({recovered}) > 0", "{{cause}}")],
            empty="Nothing was recovered in this time",
            width=6,
            unit="ops",
            stacked=True,
        ),
    ]


def _api() -> Panels:
    enqueued = "sum by (queue) (rate(ferryman_enqueued_total[$__rate_interval]))"
    in_all = "sum by (queue) (increase(ferryman_enqueued_total[$__range] @ end())) > 0"
    return [
        graph(
            "Requests by status",
            "HTTP requests per second. 5xx: the API itself, or its Redis; 4xx: the caller.",
            [("sum by (status) (rate(ferryman_http_requests_total[$__rate_interval]))", "{{status}}")],
            width=8,
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Request time",
            "How long requests take, all but one in a hundred, by route.",
            [(_p99("ferryman_http_request_seconds", by="route"), "{{route}}")],
            width=8,
            unit="s",
        ),
        graph(
            "Tasks enqueued over HTTP",
            "Tasks per second that the API accepted, for the ten busiest queues.",
            [(ten(enqueued, "queue", in_all), "{{queue}}")],
            width=8,
            unit="ops",
        ),
    ]


def _resources() -> Panels:
    programs = [
        ("operator", "ferryman_operator_last_pass_timestamp_seconds"),
        ("scheduler", "max by (instance) (ferryman_scheduler_last_pass_timestamp_seconds)"),
        ("API", "max by (instance) (ferryman_http_request_seconds_count)"),
    ]
    return [
        graph(
            "Memory",
            "Resident memory of the largest process of each program. At the limit of its container it is killed.",
            [(f"max(process_resident_memory_bytes and on (instance) {mine})", name) for name, mine in programs],
            width=12,
            unit="bytes",
        ),
        graph(
            "CPU",
            "Cores that the busiest process of each program uses; each can use one.",
            [
                (f"max(rate(process_cpu_seconds_total[$__rate_interval]) and on (instance) {mine})", name)
                for name, mine in programs
            ],
            width=12,
            steps=[(None, "green"), (0.8, "orange")],
        ),
    ]
