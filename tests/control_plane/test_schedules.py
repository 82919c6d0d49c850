"""TaskSchedules on a real API server: what it refuses, and that the operator has all the rights it needs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from ferryman_control_plane.namespace import Namespace
from ferryman_control_plane.operator_process import StartOperator, until

from ferryman.link import SyncLink
from ferryman.timetable import Timetable

PATH = "/apis/ferryman.dev/v1alpha1/namespaces/{}/taskschedules"


def post(api: httpx.Client, namespace: Namespace, name: str = "nightly", **spec: Any) -> httpx.Response:
    body = {
        "apiVersion": "ferryman.dev/v1alpha1",
        "kind": "TaskSchedule",
        "metadata": {"name": name},
        "spec": {"queueRef": {"name": "mail"}, "task": "report", **spec},
    }
    return api.post(PATH.format(namespace.name), json=body, params={"fieldValidation": "Strict"})


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({}, "spec must have one of cron and every"),
        ({"cron": "@daily", "every": "1h"}, "spec must have one of cron and every"),
        ({"cron": "0 0 30 2 *"}, "spec.cron names a day that never comes, such as February 30"),
        ({"cron": "0 0 31 4,6 *"}, "spec.cron names a day that never comes, such as February 30"),
        ({"cron": "0 0 * *"}, "spec.cron must have five fields: minute, hour, day, month and weekday"),
        ({"cron": "0 0 0 * * *"}, "spec.cron must have five fields: minute, hour, day, month and weekday"),
        ({"every": "500ms"}, "spec.every must be 1s or more"),
        ({"every": "1h", "startingDeadline": "0s"}, "spec.startingDeadline must be 1s or more"),
        ({"every": "1h", "dst": "never"}, 'spec.dst: Unsupported value: "never"'),
        ({"every": "1h", "task": "9lives"}, "spec.task"),
        ({"every": "1h", "timezone": "UTC"}, 'unknown field "spec.timezone"'),
        ({"every": "1h", "options": {"timeout": "0s"}}, "spec.options.timeout must be above 0s"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(
    api: httpx.Client, namespace: Namespace, spec: dict[str, Any], sentence: str
) -> None:
    reply = post(api, namespace, **spec)
    assert reply.status_code in (400, 422), reply.text
    assert sentence in reply.json()["message"]


@pytest.mark.parametrize(
    "spec",
    [{"cron": "0 7 * * 1-5"}, {"cron": "@daily"}, {"cron": "0 0 29 2 *"}, {"cron": "0 0 L * *"}, {"every": "5s"}],
)
def test_what_makes_sense_is_accepted_with_its_defaults(
    api: httpx.Client, namespace: Namespace, spec: dict[str, Any]
) -> None:
    reply = post(api, namespace, **spec)
    assert reply.status_code == 201, reply.text
    made = reply.json()["spec"]
    assert (made["timeZone"], made["dst"], made["misfire"], made["overlap"]) == ("UTC", "once", "latest", "allow")


def test_the_operator_publishes_reports_and_takes_back(
    api: httpx.Client, namespace: Namespace, start_operator: StartOperator, redis_url: str
) -> None:
    """With the rights of manifests/install, and with no scheduler, as there are no nodes here."""
    assert post(api, namespace, cron="0 7 * * *", timeZone="Europe/Berlin").status_code == 201
    start_operator()

    def ready() -> tuple[str, str]:
        found = namespace.get("taskschedules", "nightly") or {}
        conditions = found.get("status", {}).get("conditions", [])
        return next(((one["status"], one["reason"]) for one in conditions if one["type"] == "Ready"), ("", ""))

    def published() -> list[str]:
        link = SyncLink.from_url(redis_url)
        try:
            return [entry.schedule.name for entry in link.run(Timetable("mail").agree()).entries]
        finally:
            link.close()

    until("it misses its queue", ready, lambda found: found == ("False", "QueueNotFound"), 60)
    namespace.queue("mail", redis_url)
    until("it is published", published, lambda found: found == ["nightly"], 60)
    until("it misses a scheduler", ready, lambda found: found == ("False", "SchedulerNotReady"), 30)
    status = (namespace.get("taskschedules", "nightly") or {})["status"]
    assert status["nextFireTime"][11:] in ("05:00:00Z", "06:00:00Z")
    events = {one["reason"] for one in namespace.all("events") if one["involvedObject"]["kind"] == "TaskSchedule"}
    assert "QueueNotFound" in events

    namespace.patch("taskschedules", "nightly", {"spec": {"timeZone": "Europe/Atlantis"}})
    until("it can't be used", ready, lambda found: found == ("False", "InvalidSpec"), 30)
    assert published() == []
    namespace.patch("taskschedules", "nightly", {"spec": {"timeZone": "UTC"}})
    until("it is published again", published, lambda found: found == ["nightly"], 30)
    namespace.delete("taskschedules", "nightly")
    until("it is taken back", published, lambda found: found == [], 30)
