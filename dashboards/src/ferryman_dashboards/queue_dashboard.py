"""One queue: is it well, if not why not, and what to do about it. Its buttons drive the queue."""

from grafana_foundation_sdk.builders import dashboard

from ferryman_dashboards import queue_control, queue_now, queue_work, queue_workers
from ferryman_dashboards.frame import event, label_variable, page, section
from ferryman_dashboards.queue_metrics import OPERATOR, rate_of


def build() -> dashboard.Dashboard:
    """The dashboard `ferryman-queue`: variables for data source, namespace and queue, and those of the buttons."""
    board = page(
        "ferryman-queue",
        "Ferryman queue",
        "One queue: is it well, and if not, why not and what to do. Its buttons add work, hold, revive and reset.",
    )
    board.with_variable(label_variable("namespace", "Namespace", "label_values(ferryman_queue_tasks, queue_namespace)"))
    board.with_variable(
        label_variable("queue", "Queue", 'label_values(ferryman_queue_tasks{queue_namespace="$namespace"}, queue)')
    )
    queue_control.add_variables(board)
    board.annotation(
        event("Scaled", f"max(changes(ferryman_workers_wanted{{{OPERATOR}}}[$__rate_interval])) > 0", "blue")
    )
    board.annotation(event("Recovered", f"{rate_of('recovered')} > 0", "orange"))
    section(board, None, queue_now.figures())
    section(board, "Is it well?", queue_now.health())
    section(board, "Drive it", [queue_control.control_panel()])
    section(board, "Tasks", queue_work.tasks())
    section(board, "Latency", queue_work.latency())
    section(board, "Workers", queue_workers.workers())
    section(board, "How runs end", queue_work.endings())
    section(board, "Faults", queue_workers.faults())
    section(board, "Redis", queue_workers.redis())
    return board
