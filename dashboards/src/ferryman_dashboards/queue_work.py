"""What happens to a queue's tasks: how many are where, how long they wait and run, and how they end."""

from ferryman_dashboards.heat import heat
from ferryman_dashboards.panels import FAILURE_STEPS, Panels, bars, graph
from ferryman_dashboards.queue_metrics import OLDEST, PODS, TARGET, failure_rate, quantile, rate_of, tasks_in

_WAIT, _RUN = "ferryman_task_wait_seconds", "ferryman_task_run_seconds"


def tasks() -> Panels:
    """Where tasks are, and whether more come in than go out."""
    return [
        graph(
            "Tasks by state",
            "What is in the queue. Waiting that grows while workers are ready: the workers are too slow.",
            [(tasks_in("waiting"), "waiting"), (tasks_in("active"), "active"), (tasks_in("delayed"), "scheduled")],
            width=12,
            stacked=True,
            colors={"waiting": "blue", "active": "green", "scheduled": "purple"},
        ),
        graph(
            "In and out",
            "Tasks per second that came in, completed, raised an error, or were discarded. "
            "More in than completed: the queue grows.",
            [(rate_of(event), event) for event in ("enqueued", "completed", "failed", "discarded")],
            width=12,
            unit="ops",
            colors={"enqueued": "blue", "completed": "green", "failed": "red", "discarded": "orange"},
        ),
    ]


def latency() -> Panels:
    """How long tasks wait for a worker, and how long they run."""
    return [
        graph(
            "Oldest waiting task",
            "Age of the task that has waited longest, and how long one may wait by the queue's targetLatency. "
            "A straight climb means that nothing is being fetched.",
            [(OLDEST, "oldest"), (TARGET, "target")],
            width=8,
            unit="s",
            colors={"oldest": "blue", "target": "red"},
        ),
        graph(
            "Time to start",
            "From the moment a task could run until a worker ran it: half of the tasks, and all but one in a hundred.",
            _halves(_WAIT),
            width=8,
            unit="s",
        ),
        graph(
            "Run time",
            "How long the tasks' own code takes: half of the runs, and all but one in a hundred.",
            _halves(_RUN),
            width=8,
            unit="s",
        ),
        heat(
            "Time to start, all tasks",
            "How many tasks waited how long. Two bands: some find a worker at once, others stand in line.",
            _WAIT,
            PODS,
            width=12,
        ),
        heat(
            "Run time, all tasks",
            "How many runs took how long. A band that moves up: what the tasks call gets slower.",
            _RUN,
            PODS,
            width=12,
        ),
    ]


def endings() -> Panels:
    """How runs end, and which tasks use the workers."""
    busy = f"sum by (task) (rate({_RUN}_sum{{{PODS}}}[$__rate_interval]))"
    return [
        graph(
            "Outcomes of runs",
            "How runs ended, per second, as the workers counted them. Parked: no worker knows the task's name.",
            [(f"sum by (outcome) (rate(ferryman_tasks_total{{{PODS}}}[$__rate_interval])) > 0", "{{outcome}}")],
            empty="Nothing ran in this time",
            width=8,
            unit="ops",
            stacked=True,
            colors={
                "completed": "green",
                "retried": "yellow",
                "dead": "red",
                "crashed": "dark-red",
                "requeued": "blue",
                "parked": "purple",
                "cancelled": "orange",
            },
        ),
        graph(
            "Failed and retried",
            "Runs per second that raised an error, and those that get another attempt. "
            "The gap between the two has no attempt left, and is dead.",
            [(rate_of("failed"), "failed"), (rate_of("retried"), "retried")],
            width=8,
            unit="ops",
            colors={"failed": "red", "retried": "yellow"},
        ),
        graph(
            "Share of runs that fail",
            "Of all runs that ended, how many raised an error.",
            [(failure_rate(), "failed")],
            width=8,
            unit="percentunit",
            steps=FAILURE_STEPS,
        ),
        graph(
            "Dead and parked",
            "Tasks that were given up, and tasks whose name no worker knows (often a deployment under way).",
            [(tasks_in("dead"), "dead"), (tasks_in("parked"), "parked")],
            width=8,
            steps=[(None, "green"), (1, "orange")],
            colors={"dead": "red", "parked": "purple"},
        ),
        bars(
            "Slots in use by task",
            "How many slots of the workers each task occupies on average: where the time goes. The ten largest.",
            f"topk(10, {busy} > 0)",
            "{{task}}",
            width=8,
        ),
        bars(
            "Slowest tasks",
            "Run time that all but one in twenty runs of a task stay below. The ten slowest.",
            f"topk(10, {quantile(0.95, _RUN, by='task')} > 0)",
            "{{task}}",
            width=8,
            unit="s",
        ),
    ]


def _halves(histogram: str) -> list[tuple[str, str]]:
    return [(quantile(0.5, histogram), "p50"), (quantile(0.99, histogram), "p99")]
