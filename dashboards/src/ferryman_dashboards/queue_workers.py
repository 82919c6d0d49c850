"""A queue's workers: how many are wanted, ready and busy, what they use and what dies, and how its Redis is."""

from ferryman_dashboards.panels import KEEPS, REACHABLE, ZERO_IS_GOOD, Panels, figure, graph
from ferryman_dashboards.queue_metrics import OPERATOR, PODS, gauge, quantile, rate_of


def workers() -> Panels:
    """How many there are and why, and whether they have enough to do and enough to do it with."""
    memory = f"sum by (instance) (ferryman_worker_resident_memory_bytes{{{PODS}}})"
    cpu = f"sum by (instance) (rate(ferryman_worker_cpu_seconds_total{{{PODS}}}[$__rate_interval]))"
    decisions = f"ferryman_operator_decisions_total{{{OPERATOR}}}"
    return [
        graph(
            "Workers wanted and ready",
            "What the operator decided and what is there. A lasting gap: pods find no node, or do not become ready. "
            "Wanted at the most: see maxReplicas.",
            [
                (gauge("ferryman_workers_wanted"), "wanted"),
                (gauge("ferryman_workers_ready"), "ready"),
                (gauge("ferryman_queue_workers"), "registered"),
                (gauge("ferryman_workers_max"), "the most"),
            ],
            width=8,
            colors={"wanted": "blue", "ready": "green", "registered": "yellow", "the most": "red"},
        ),
        graph(
            "Scaling decisions",
            "Why the operator wants as many workers as it wants: its decisions per second, by reason.",
            [(f"max by (reason) (rate({decisions}[$__rate_interval])) > 0", "{{reason}}")],
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
        graph(
            "Memory of workers",
            "Resident memory of the largest worker, all its processes together, and the average of all. "
            "At the limit of its container a worker is killed.",
            [(f"max({memory})", "largest"), (f"avg({memory})", "average")],
            width=12,
            unit="bytes",
        ),
        graph(
            "CPU of workers",
            "Cores that the busiest worker uses, all its processes together, and the average of all. "
            "A main process at 1 is full: it runs Python code of one task at a time.",
            [(f"max({cpu})", "busiest"), (f"avg({cpu})", "average")],
            width=12,
        ),
    ]


def faults() -> Panels:
    """Which workers died, and whether anything was lost by it."""
    taken_back = f"sum by (cause) (rate(ferryman_recovered_total{{{PODS}}}[$__rate_interval]))"
    return [
        graph(
            "Recovered",
            "Tasks taken back from dead workers, per second. A lasting line: a task that kills its worker, "
            "or too little memory.",
            [(rate_of("recovered"), "recovered")],
            width=6,
            unit="ops",
            colors={"recovered": "orange"},
        ),
        graph(
            "Recovered by cause",
            "Why they were taken back: oom_killed wants more memory, restarted and exited point to the task's own "
            "code, deadline to a worker that was cut off or hung.",
            [(f"{taken_back} > 0", "{{cause}}")],
            empty="Nothing was recovered in this time",
            width=6,
            unit="ops",
            stacked=True,
        ),
        graph(
            "Interrupted by scaling",
            "Tasks per second that began anew because scaling down or a rollout took their worker before they ended. "
            "More grace, or shorter tasks, avoid it.",
            [(f"max(rate(ferryman_scale_down_interrupted_total{{{OPERATOR}}}[$__rate_interval]))", "interrupted")],
            width=6,
            unit="ops",
            colors={"interrupted": "orange"},
        ),
        figure(
            "Unaccounted",
            "Accepted tasks that are in no state. Anything but 0 is a bug: report it with `ferryman stats --json`.",
            f"max(abs(ferryman_queue_unaccounted{{{OPERATOR}}}))",
            width=6,
            height=8,
            unit="none",
            steps=ZERO_IS_GOOD,
        ),
    ]


def redis() -> Panels:
    """The Redis that the queue lies in."""
    return [
        figure(
            "Redis",
            "Whether the operator reaches the queue's Redis. While it does not, the number of workers is held.",
            f"min(ferryman_queue_broker_reachable{{{OPERATOR}}})",
            width=8,
            unit="none",
            steps=[(None, "red"), (1, "green")],
            mappings=REACHABLE,
        ),
        figure(
            "Redis keeps tasks",
            "Whether Redis says that tasks survive its restart and a full memory. "
            "The condition RedisDurable of the TaskQueue gives the reason; no figure: Redis does not say.",
            f"min(ferryman_queue_redis_durable{{{OPERATOR}}})",
            width=8,
            unit="none",
            steps=[(None, "red"), (1, "green")],
            mappings=KEEPS,
        ),
        figure(
            "Workers' errors with Redis",
            "Calls of workers to Redis that failed, per second. A burst at a failover is normal: workers reconnect.",
            f"sum(rate(ferryman_broker_errors_total{{{PODS}}}[$__rate_interval]))",
            width=8,
            unit="ops",
            steps=[(None, "green"), (0.1, "orange")],
        ),
        graph(
            "Redis round trip",
            "From a question to its answer, all but one in a hundred. `beat` waits for Redis alone; `worker` also for "
            "its event loop, which tasks may keep busy: it alone is high when a task blocks the loop.",
            [(quantile(0.99, "ferryman_redis_round_trip_seconds", by="component"), "{{component}}")],
            width=12,
            unit="s",
            steps=[(None, "green"), (0.1, "orange")],
        ),
        graph(
            "Redis memory",
            "What the queue's Redis uses for all that lies in it, and its maxmemory; 0: it has no limit.",
            [
                (gauge("ferryman_queue_redis_memory_used_bytes"), "used"),
                (gauge("ferryman_queue_redis_memory_max_bytes"), "the most"),
            ],
            width=12,
            unit="bytes",
            colors={"used": "blue", "the most": "red"},
        ),
    ]
