"""The machinery behind all queues: do operator, schedulers and API do their work.

Over everything that one Prometheus scrapes; figures of many queues are added up or reduced to the worst ten.
"""

from grafana_foundation_sdk.builders import dashboard

from ferryman_dashboards.frame import page, section
from ferryman_dashboards.panels import ZERO_IS_GOOD, Panels, Steps, figure, graph

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
    return board


def _p99(histogram: str, by: str = "") -> str:
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile(0.99, sum by ({labels}) (rate({histogram}_bucket[$__rate_interval])))"


def _now() -> Panels:
    last_passes = "max by (namespace, loop) (ferryman_scheduler_last_pass_timestamp_seconds)"
    return [
        figure(
            "Operator's last pass",
            "Seconds since the operator last went over all queues. It passes about once a second.",
            "time() - max(ferryman_operator_last_pass_timestamp_seconds)",
            width=6,
            unit="s",
            decimals=0,
            steps=PASS_AGE_STEPS,
        ),
        figure(
            "Slowest scheduler's last pass",
            "Seconds since the scheduler that is furthest behind last passed. Behind: late delayed tasks and recovery.",
            f"max(time() - {last_passes})",
            width=6,
            unit="s",
            decimals=0,
            steps=PASS_AGE_STEPS,
        ),
        figure(
            "Queues",
            "TaskQueues that the operator measures.",
            'count(max by (queue_namespace, queue) (ferryman_queue_tasks{state="waiting"}))',
            width=6,
        ),
        figure(
            "Queues without Redis",
            "Queues whose Redis the operator cannot reach. Their workers are held as they are.",
            "sum(1 - min by (queue_namespace, queue) (ferryman_queue_broker_reachable))",
            width=6,
            steps=ZERO_IS_GOOD,
        ),
    ]


def _operator() -> Panels:
    return [
        graph(
            "Operator pass",
            "How long a pass over the queues of one Redis takes, 99 of 100 times. Above a second, scaling gets slow.",
            [(_p99("ferryman_operator_pass_seconds"), "p99")],
            width=12,
            unit="s",
            steps=A_SECOND,
        ),
        graph(
            "Decisions by reason",
            "What the operator decided for all queues together, per second.",
            [("sum by (reason) (rate(ferryman_operator_decisions_total[$__rate_interval]))", "{{reason}}")],
            width=12,
            unit="ops",
            stacked=True,
        ),
    ]


def _schedulers() -> Panels:
    lag = "topk(10, max by (namespace, queue) (ferryman_promotion_lag_seconds))"
    return [
        graph(
            "Promotion lag",
            "How late due tasks become waiting, for the ten queues that are latest.",
            [(lag, "{{namespace}}/{{queue}}")],
            width=8,
            unit="s",
            steps=A_SECOND,
        ),
        graph(
            "Scheduler pass",
            "How long one pass of each loop takes, all but one in a hundred.",
            [(_p99("ferryman_scheduler_pass_seconds", by="loop"), "{{loop}}")],
            width=8,
            unit="s",
        ),
        graph(
            "Moved by schedulers",
            "Tasks per second that were due, were taken back from dead workers, or were trimmed after their retention.",
            [
                ("sum(rate(ferryman_promoted_total[$__rate_interval]))", "promoted"),
                ("sum by (to) (rate(ferryman_recovered_total[$__rate_interval]))", "recovered to {{to}}"),
                ("sum by (state) (rate(ferryman_trimmed_total[$__rate_interval]))", "trimmed {{state}}"),
            ],
            width=8,
            unit="ops",
        ),
    ]


def _api() -> Panels:
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
            [("topk(10, sum by (queue) (rate(ferryman_enqueued_total[$__rate_interval])))", "{{queue}}")],
            width=8,
            unit="ops",
        ),
    ]
