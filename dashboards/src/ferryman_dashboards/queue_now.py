"""The top of the queue's dashboard: its figures now, whether it is well, and the commands to look closer."""

from ferryman_dashboards.checks import Check, check_table
from ferryman_dashboards.notes import commands
from ferryman_dashboards.panels import FAILURE_STEPS, LATE_STEPS, ZERO_IS_GOOD, Panels, figure
from ferryman_dashboards.queue_metrics import OLDEST, TARGET, count_of, failure_rate, gauge, rate_of, tasks_in


def figures() -> Panels:
    """The figures of the web page that Ferryman began with, and those that tell whether somebody is needed."""
    return [
        figure(
            "Waiting",
            "Tasks that could run now, including those being handed to a worker.",
            tasks_in("waiting"),
            width=2,
        ),
        figure("Active", "Tasks that a worker holds.", tasks_in("active"), width=2),
        figure(
            "Scheduled",
            "Tasks with a time in the future: delayed by their producer, or waiting for their next attempt.",
            tasks_in("delayed"),
            width=2,
        ),
        figure("Workers", "Workers that are registered and alive.", gauge("ferryman_queue_workers"), width=2),
        figure("Throughput", "Tasks completed per second.", rate_of("completed"), width=3, unit="ops", decimals=1),
        figure(
            "Failure rate",
            "Share of runs that raised an error. Most of them are retried; Dead counts those that were given up.",
            failure_rate(),
            width=3,
            unit="percentunit",
            decimals=1,
            steps=FAILURE_STEPS,
        ),
        figure("Completed", "Tasks completed in the time that this page shows.", count_of("completed"), width=2),
        figure(
            "Dead",
            "Tasks that were given up and wait for a person: `ferryman tasks QUEUE --state dead`, then `revive`.",
            tasks_in("dead"),
            width=2,
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "Oldest waiting",
            "How long the task that has waited longest has waited.",
            OLDEST,
            width=3,
            unit="s",
            decimals=1,
        ),
        figure(
            "Oldest of target",
            "The same as a share of the queue's targetLatency. Above 100 %: tasks start later than they should.",
            f"{OLDEST} / {TARGET}",
            width=3,
            unit="percentunit",
            decimals=0,
            steps=LATE_STEPS,
        ),
    ]


def health() -> Panels:
    """What is wrong and what to do, beside the commands for it."""
    return [
        check_table(
            "Checks",
            "One line a question, those that want somebody on top. The last column opens the page with what to do.",
            _CHECKS,
            width=14,
        ),
        commands(
            "Look closer",
            "Commands for this queue. The name of its TaskQueue is the queue's own unless spec.queue says otherwise.",
            _COMMANDS,
            width=10,
        ),
    ]


_REDIS_USE = (
    f"{gauge('ferryman_queue_redis_memory_used_bytes')} / ({gauge('ferryman_queue_redis_memory_max_bytes')} > 0)"
)

_CHECKS = [
    Check(
        "Redis answers",
        f"1 - {gauge('ferryman_queue_broker_reachable')}",
        "ferryman-redis-unreachable",
    ),
    Check("Tasks start within the target latency", f"({OLDEST} > bool {TARGET})", "ferryman-queue-late"),
    Check("No task is dead", f"({tasks_in('dead')} > bool 0)", "ferryman-dead-tasks-growing"),
    Check("No task is lost", f"(abs({gauge('ferryman_queue_unaccounted')}) > bool 0)", "ferryman-tasks-unaccounted"),
    Check(
        "As many workers are ready as wanted",
        f"({gauge('ferryman_workers_ready')} < bool {gauge('ferryman_workers_wanted')})",
        "ferryman-queue-late",
    ),
    Check(
        "More workers are allowed, or none are missing",
        f"({OLDEST} > bool {TARGET}) * ({gauge('ferryman_workers_wanted')} >= bool {gauge('ferryman_workers_max')})",
        "ferryman-workers-at-ceiling",
    ),
    Check("No worker died lately", f"({rate_of('recovered')} > bool 0)", "ferryman-recovery-loop"),
    Check("A scheduler is ready", f"({gauge('ferryman_queue_scheduler_ready')} < bool 1)", "ferryman-no-scheduler"),
    Check("Redis keeps tasks", f"1 - {gauge('ferryman_queue_redis_durable')}", "ferryman-redis-not-durable"),
    Check("Redis has memory left", f"({_REDIS_USE} > bool 0.9)", "ferryman-redis-memory-nearly-full"),
    Check("The queue is not on hold", gauge("ferryman_queue_hold"), "ferryman-queue-late"),
]

_COMMANDS = [
    (
        "What the operator thinks, and its last events",
        [
            "kubectl -n ${namespace} get taskqueue ${queue} -o wide",
            "kubectl -n ${namespace} describe taskqueue ${queue}",
        ],
    ),
    (
        "The workers",
        [
            "kubectl -n ${namespace} get pods -l ferryman.dev/queue=${queue} -o wide",
            "kubectl -n ${namespace} logs -l ferryman.dev/queue=${queue} --tail=50 --prefix",
        ],
    ),
    (
        "The tasks; ferryman alone will do where FERRYMAN_REDIS_URL leads to their Redis",
        [
            "kubectl -n ferryman-system exec deploy/ferryman-api -- ferryman stats ${queue}",
            "ferryman tasks ${queue} --state dead",
            "ferryman revive ${queue}",
        ],
    ),
]
