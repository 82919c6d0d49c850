"""What the labels mean, and why none of them can fill Prometheus."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """`meaning` in a sentence; `bound` says what keeps an open label small, and is empty where all values are known."""

    meaning: str
    bound: str = ""


#: By the label's name, or by metric and label where it means something of its own.
LABELS: dict[str, Label] = {
    "queue": Label(
        "The queue's name in Redis.", "One per TaskQueue; the API, which takes any, knows at most 1000 (then `other`)."
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
    "state": Label("Where the tasks are. `parked` ones are `delayed` too: no worker knows their name."),
    "ferryman_trimmed_total/state": Label("Where the tasks were."),
    "event": Label("What happened. `failed` counts runs that raised, `dead_by_crash` tasks given up after crashes."),
    "to": Label("Where the tasks went; `handed` are lost hand-overs, back in waiting."),
    "loop": Label("The scheduler's loop."),
    "reason": Label("Why the operator wants that many workers; the same word as in the TaskQueue's status."),
}


def label(metric: str, name: str) -> Label:
    """What the label `name` of `metric` means. Raises KeyError when nobody has said so."""
    return LABELS.get(f"{metric}/{name}") or LABELS[name]
