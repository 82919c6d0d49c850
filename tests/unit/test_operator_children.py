"""The objects that the operator makes, and which TaskQueue they belong to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ferryman_operator.guards import disruption_budget
from ferryman_operator.monitors import MonitorSettings, worker_monitor
from ferryman_operator.overlay import merged
from ferryman_operator.recovery_cronjob import recovery_cronjob
from ferryman_operator.scheduler_deployment import scheduler_deployment
from ferryman_operator.spec import TaskQueueSpec
from ferryman_operator.worker_deployment import grace_s, worker_deployment


def taskqueue(name: str = "emails", **spec: Any) -> TaskQueueSpec:
    whole = {"redis": {"url": "redis://r:6379/0"}, "worker": {"image": "acme:1", "app": "acme.tasks"}} | spec
    metadata = {"namespace": "ns", "name": name, "uid": f"uid-{name}", "generation": 1}
    return TaskQueueSpec.from_body({"metadata": metadata, "spec": whole})


SECRET = {"secretRef": {"name": "emails-redis", "key": "dsn"}}
ALL = [
    worker_deployment(taskqueue(redis=SECRET), 3),
    scheduler_deployment([taskqueue(redis=SECRET)], "scheduler:1", {}, "IfNotPresent"),
    recovery_cronjob(taskqueue(redis=SECRET), ["emails"], "scheduler:1", "IfNotPresent", suspended=True),
]
IDS = ["worker", "scheduler", "recovery"]


def pod_of(body: dict[str, Any]) -> dict[str, Any]:
    spec = body["spec"]["jobTemplate"]["spec"] if body["kind"] == "CronJob" else body["spec"]
    pod: dict[str, Any] = spec["template"]["spec"]
    return pod


def env_of(body: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in pod_of(body)["containers"][0]["env"]}


@pytest.mark.parametrize("body", ALL, ids=IDS)
def test_every_pod_is_restricted(body: dict[str, Any]) -> None:
    pod = pod_of(body)
    container = pod["containers"][0]["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["readOnlyRootFilesystem"] is True
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("body", ALL, ids=IDS)
def test_a_secret_is_a_file_and_never_in_the_environment(body: dict[str, Any]) -> None:
    pod, env = pod_of(body), env_of(body)
    assert env["FERRYMAN_REDIS_URL_FILE"] == "/etc/ferryman/redis/url"
    assert "FERRYMAN_REDIS_URL" not in env
    assert {"mountPath": "/etc/ferryman/redis", "name": "redis", "readOnly": True} in pod["containers"][0][
        "volumeMounts"
    ]
    secret = {"secretName": "emails-redis", "items": [{"key": "dsn", "path": "url"}]}
    assert {"name": "redis", "secret": secret} in pod["volumes"]


def test_workers_run_the_queue_of_the_app() -> None:
    body = worker_deployment(
        taskqueue(queue="mail", worker={"image": "acme:1", "app": "acme.tasks", "concurrency": 20}), 3
    )
    container = pod_of(body)["containers"][0]
    assert body["metadata"]["name"] == "emails-worker"
    assert body["spec"]["replicas"] == 3
    assert body["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert (container["name"], container["image"]) == ("worker", "acme:1")
    assert container["args"] == ["worker", "mail", "--app", "acme.tasks"]
    env = env_of(body)
    assert (env["FERRYMAN_REDIS_URL"], env["FERRYMAN_CONCURRENCY"]) == ("redis://r:6379/0", "20")


def test_policy_stays_out_of_the_pod_template() -> None:
    """A change of policy must not restart the workers."""
    one = taskqueue()
    other = taskqueue(
        retries={"maxAttempts": 9},
        crashes={"max": 1, "workerTimeout": "1m"},
        retention={"dead": "1d"},
        scaling={"maxReplicas": 99},
        stopPolicy="Hold",
        recovery={"schedule": "*/5 * * * *"},
    )
    assert worker_deployment(replace(other, generation=8), 3) == worker_deployment(one, 3)


@pytest.mark.parametrize(
    ("task_timeout_s", "grace"),
    [(None, 30), (1.0, 30), (20.0, 30), (21.0, 60), (290.0, 300), (300.0, 600), (86_400.0, 3600)],
)
def test_the_grace_lets_a_task_finish(task_timeout_s: float | None, grace: int) -> None:
    assert grace_s(task_timeout_s) == grace


def test_a_worker_stops_before_kubernetes_kills_it() -> None:
    body = worker_deployment(taskqueue(worker={"image": "i", "app": "a", "taskTimeout": "5m"}), 1)
    assert pod_of(body)["terminationGracePeriodSeconds"] == 600
    assert env_of(body)["FERRYMAN_SHUTDOWN_GRACE"] == "595s"


def test_a_worker_knows_the_grace_that_the_template_gives_it() -> None:
    template = {"spec": {"terminationGracePeriodSeconds": 900}}
    body = worker_deployment(taskqueue(worker={"image": "i", "app": "a", "template": template}), 1)
    assert pod_of(body)["terminationGracePeriodSeconds"] == 900
    assert env_of(body)["FERRYMAN_SHUTDOWN_GRACE"] == "895s"


def test_a_template_is_laid_over_and_cannot_take_the_labels_away() -> None:
    template = {
        "metadata": {"labels": {"team": "mail", "app.kubernetes.io/instance": "stolen"}},
        "spec": {
            "serviceAccountName": "mailer",
            "containers": [
                {
                    "name": "worker",
                    "env": [{"name": "DATABASE_URL", "value": "x"}, {"name": "FERRYMAN_PORT", "value": "9"}],
                },
                {"name": "sidecar", "image": "s:1"},
            ],
        },
    }
    body = worker_deployment(taskqueue(worker={"image": "i", "app": "a", "template": template}), 1)
    pod = pod_of(body)
    labels = body["spec"]["template"]["metadata"]["labels"]
    assert (labels["team"], labels["app.kubernetes.io/instance"]) == ("mail", "emails")
    assert body["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert pod["serviceAccountName"] == "mailer"
    assert [container["name"] for container in pod["containers"]] == ["worker", "sidecar"]
    assert pod["containers"][0]["image"] == "i"
    env = env_of(body)
    assert (env["DATABASE_URL"], env["FERRYMAN_PORT"], env["FERRYMAN_CONCURRENCY"]) == ("x", "9", "10")


def test_overlay_merges_named_lists_replaces_others_and_removes_nulls() -> None:
    base = {"env": [{"name": "A", "value": "1"}], "args": ["x"], "keep": 1, "gone": 2}
    patch = {"env": [{"name": "B", "value": "2"}], "args": ["y"], "gone": None}
    result = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["y"], "keep": 1}
    assert merged(base, patch) == result
    assert base["gone"] == 2, "the generated template is not changed"


def test_ferrymans_own_image_is_pulled_with_the_secrets_of_the_chart() -> None:
    scheduler = scheduler_deployment([taskqueue()], "scheduler:1", {}, "Always", ["registry", "mirror"])
    recovery = recovery_cronjob(
        taskqueue(), ["emails"], "scheduler:1", "Always", pull_secrets=("registry", "mirror"), suspended=True
    )
    for body in (scheduler, recovery):
        assert pod_of(body)["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]
    assert "imagePullSecrets" not in pod_of(worker_deployment(taskqueue(), 1)), "that is the image of somebody else"


def test_a_scheduler_is_shared_and_belongs_to_all() -> None:
    group = [taskqueue("zebra"), taskqueue("ant", queue="ants")]
    body = scheduler_deployment(group, "scheduler:1", {"requests": {"cpu": "1"}}, "Never")
    owners = body["metadata"]["ownerReferences"]
    assert [(one["name"], one["controller"], one["blockOwnerDeletion"]) for one in owners] == [
        ("ant", False, False),
        ("zebra", False, False),
    ]
    container = pod_of(body)["containers"][0]
    assert container["args"] == ["scheduler", "--queue", "ants", "--queue", "zebra"]
    assert (container["imagePullPolicy"], container["resources"]) == ("Never", {"requests": {"cpu": "1"}})
    assert body == scheduler_deployment(group[::-1], "scheduler:1", {"requests": {"cpu": "1"}}, "Never")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"url": "redis://r:6379/0"}, {"url": "redis://r:6379/0"}, True),
        ({"url": "redis://r:6379/0"}, {"url": "redis://r:6379/1"}, False),
        ({"secretRef": {"name": "s"}}, {"secretRef": {"name": "s", "key": "url"}}, True),
        ({"secretRef": {"name": "s"}}, {"secretRef": {"name": "s", "key": "other"}}, False),
    ],
)
def test_who_shares_a_scheduler(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    names = [
        scheduler_deployment([taskqueue(redis=redis)], "i", {}, "Never")["metadata"]["name"] for redis in (one, other)
    ]
    assert (names[0] == names[1]) is same
    assert names[0].startswith("ferryman-scheduler-")
    assert len(names[0]) == len("ferryman-scheduler-") + 8


def test_recovery_never_overlaps_itself() -> None:
    body = recovery_cronjob(taskqueue(), ["b", "a"], "scheduler:1", "IfNotPresent", suspended=False)
    spec = body["spec"]
    assert body["metadata"]["name"] == "emails-recovery"
    assert (spec["suspend"], spec["concurrencyPolicy"], spec["schedule"]) == (False, "Forbid", "* * * * *")
    assert spec["startingDeadlineSeconds"] == spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 50
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    container = pod_of(body)["containers"][0]
    assert (container["name"], container["args"]) == ("recover", ["recover", "a", "b"])


def test_children_go_with_their_taskqueue() -> None:
    spec = taskqueue()
    bodies = [
        worker_deployment(spec, 0),
        recovery_cronjob(spec, ["emails"], "i", "Never", suspended=True),
        disruption_budget(spec),
        worker_monitor(spec, MonitorSettings()),
    ]
    for body in bodies:
        [owner] = body["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == ("uid-emails", True, False)
        assert body["metadata"]["labels"]["ferryman.dev/queue"] == "emails"


def test_guards_select_the_workers_and_nothing_else() -> None:
    workers = worker_deployment(taskqueue(), 1)["spec"]["selector"]
    assert disruption_budget(taskqueue())["spec"]["selector"] == workers
    assert worker_monitor(taskqueue(), MonitorSettings())["spec"]["selector"] == workers
    assert workers["matchLabels"]["app.kubernetes.io/component"] == "worker"
