"""What the labels mean, and why none of them can fill Prometheus."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ferryman.cause import Cause


@dataclass(frozen=True, slots=True)
class Label:
    """`meaning` in a sentence; `bound` says what keeps an open label small, and is empty where all values are known.
    `values` explains those that do not explain themselves.
    """

    meaning: str
    bound: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


#: By the label's name, or by metric and label where it means something of its own.
LABELS: dict[str, Label] = {
    "queue": Label(
        "The queue's name in Redis.",
        "One per TaskQueue; where any is taken (API, scheduler), the first 1000, then `(other)`.",
    ),
    "queue_namespace": Label(
        "The TaskQueue's namespace. `namespace`, which Prometheus adds, is that of the operator's own pod.",
        "The namespaces that the operator watches.",
    ),
    "task": Label(
        "The task's name.",
        "Names that have a handler, at most 100 a worker (then `(other)`); all without one are `(unknown)`.",
    ),
    "route": Label("The route's template, such as `/v1/queues/{queue}/tasks`.", "The API's routes, and `unmatched`."),
    "status": Label("The HTTP status of the answer.", "Those that the API gives."),
    "method": Label("The HTTP method; what is none of HTTP's is `other`."),
    "outcome": Label("What became of the task after a fetch by this worker."),
    "state": Label(
        "Where the tasks are. `blocked` ones wait for other tasks, or for a place in a full lane. "
        "`parked` ones are `delayed` too: no worker knows their name."
    ),
    "ferryman_trimmed_total/state": Label("Where the tasks were."),
    "event": Label("What happened. `failed` counts runs that raised, `dead_by_crash` tasks given up after crashes."),
    "to": Label("Where the tasks went."),
    "why": Label(
        "Why it got no task.",
        values={
            "late": "nobody fired it in time, and `misfire` or the starting deadline said so",
            "overlap": "the task of the occurrence before had not ended, and `overlap` is `skip`",
        },
    ),
    "cause": Label(
        "Why they were taken back.",
        values={
            Cause.RESTARTED: "the next process of their worker's container found them; no more is known of its end",
            Cause.OOM_KILLED: "their worker's container was killed for memory",
            Cause.EXITED: "their worker's container ended in another way",
            Cause.DISRUPTED: "their worker's container ended as Kubernetes had announced: a drain, a preemption",
            Cause.POD_DELETED: "their worker's pod is gone",
            Cause.RESIGNED: "their worker had to end with code that can't be stopped, and said so",
            Cause.OTHER: "another reason was given for their worker's end",
            Cause.DEADLINE: "their worker fell silent",
            Cause.LOST_FETCH: "a worker that lives was given them, and the reply was lost",
            Cause.HANDED: "a worker was to fetch them, and never did",
        },
    ),
    "component": Label(
        "Who asked Redis.",
        values={
            "worker": "the worker's event loop; with the wait for the loop, which tasks may keep busy",
            "beat": "the worker's child that beats; it waits for Redis alone",
            "scheduler": "a scheduler",
            "operator": "the operator, of any Redis",
            "api": "the HTTP API",
        },
    ),
    "process": Label(
        "Which of the worker's processes.",
        values={
            "main": "runs the tasks, and is what the `process_…` figures speak of",
            "pool": 'runs the tasks with `run_in="process"`: whoever forks, and all children',
            "beat": "tells Redis that the worker lives, and answers probes and scrapes",
        },
    ),
    "loop": Label("The scheduler's loop."),
    "reason": Label("Why the operator wants that many workers; the same word as in the TaskQueue's status."),
}


def label(metric: str, name: str) -> Label:
    """What the label `name` of `metric` means. Raises KeyError when nobody has said so."""
    return LABELS.get(f"{metric}/{name}") or LABELS[name]
