"""What the queue's dashboard asks Prometheus.

Two sources. The operator exports what Redis knows of a queue, also at zero workers; it may overlap with its
successor for a scrape, hence `max` and never `sum`. Workers run in the queue's namespace and each count their
own, hence `sum`.
"""

from ferryman_dashboards import promql

OPERATOR = 'queue_namespace="$namespace",queue="$queue"'
PODS = 'namespace="$namespace",queue="$queue"'


def tasks_in(state: str) -> str:
    """How many tasks are in a state now."""
    return f'max(ferryman_queue_tasks{{{OPERATOR},state="{state}"}})'


def gauge(metric: str) -> str:
    """A figure that the operator exports for the queue."""
    return f"max({metric}{{{OPERATOR}}})"


#: Seconds that the queue's tasks may wait, as its targetLatency says.
TARGET = gauge("ferryman_queue_target_latency_seconds")
OLDEST = gauge("ferryman_queue_oldest_waiting_seconds")


def rate_of(event: str) -> str:
    """How often something happened to tasks, per second."""
    return f"max(rate({_events(event)}[$__rate_interval]))"


def count_of(event: str) -> str:
    """How often it happened in the time that the dashboard shows."""
    return f"round(max(increase({_events(event)}[$__range])))"


def failure_rate() -> str:
    """Share of the runs that raised an error."""
    failed, completed = rate_of("failed"), rate_of("completed")
    # An idle queue has no failures: the divisor never gets to zero.
    return f"{failed} / clamp_min({completed} + {failed}, 0.001)"


def quantile(q: float, histogram: str, by: str = "") -> str:
    """A quantile of what the queue's workers measured."""
    return promql.quantile(q, histogram, by, PODS)


def _events(event: str) -> str:
    return f'ferryman_queue_events_total{{{OPERATOR},event="{event}"}}'
