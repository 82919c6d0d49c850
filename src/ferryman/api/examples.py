"""Examples of every answer, for OpenAPI and /docs. Tests check that they fit the schemas, and problems the code."""

from __future__ import annotations

from typing import Any, Final

from ferryman.api.auth import out_of_scope
from ferryman.api.problems import Problem, invalid, of_error
from ferryman.api.rate import too_many
from ferryman.api.tokens import Scope
from ferryman.errors import BrokerUnavailable, NotReplicated, PayloadTooLarge, QueueFull, UnknownTask
from ferryman.new_task import Enqueued
from ferryman.task import MAX_ARGS_BYTES

_FIGURES: Final[dict[str, Any]] = {
    "queue": "emails",
    "waiting": 3,
    "active": 1,
    "delayed": 2,
    "blocked": 0,
    "dead": 1,
    "completed": 41,
    "failed": 2,
    "retried": 2,
    "recovered": 0,
    "discarded": 0,
    "cancelled": 0,
    "expired": 0,
    "enqueued": 48,
    "workers": 1,
    "parked": 0,
    "oldest_waiting_s": 0.4,
    "unaccounted": 0,
    "hold": False,
}

_TASK: Final[dict[str, Any]] = {
    "id": "welcome-42",
    "queue": "emails",
    "task": "send",
    "state": "waiting",
    "args": {"to": "a@example.com"},
    "options": None,
    "headers": {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    "schedule": None,
    "attempt": 0,
    "deliveries": 0,
    "crashes": 0,
    "priority": 0,
    "unique": None,
    "workflow": None,
    "lane": None,
    "worker": None,
    "enqueued_at": "2030-01-31T07:00:00.000Z",
    "since": "2030-01-31T07:00:00.000Z",
    "run_at": None,
    "finished_at": None,
    "expires_at": None,
    "waits_for": None,
    "why": None,
    "progress": None,
    "result": None,
    "result_problem": None,
    "error": None,
    "evidence": [],
    "history": [],
}

_SCHEDULE: Final[dict[str, Any]] = {
    "name": "digest",
    "task": "digest",
    "cron": "0 7 * * 1-5",
    "every_s": None,
    "tz": "Europe/Berlin",
    "dst": "once",
    "misfire": "latest",
    "overlap": "allow",
    "starting_deadline_s": None,
    "suspended": False,
    "origin": "code",
    "args": {},
    "last_fired_at": "2030-01-31T06:00:00.000Z",
    "last_task": "digest:2030-01-31T06:00:00Z",
    "next_at": "2030-02-01T06:00:00.000Z",
}

_FAILED: Final = {
    **_TASK,
    "state": "delayed",
    "attempt": 1,
    "deliveries": 1,
    "since": "2030-01-31T07:00:02.000Z",
    "run_at": "2030-01-31T07:00:03.100Z",
    "error": "TimeoutError: smtp.example.com does not answer",
    "history": [
        {
            "attempt": 1,
            "started_at": "2030-01-31T07:00:00.012Z",
            "ended_at": "2030-01-31T07:00:02.000Z",
            "run_s": 1.987,
            "outcome": "retried",
            "worker": "0b6f.worker.1",
            "error": "TimeoutError: smtp.example.com does not answer",
        }
    ],
}

_NODE: Final[dict[str, Any]] = {
    "name": "pay",
    "id": "order-42:pay",
    "task": "charge",
    "state": "active",
    "after": [],
    "on_failure": "fail",
    "compensate": "refund",
    "undoes": None,
}

_WORKER: Final = {
    "id": "0b6f.worker.1",
    "pod": "emails-worker-7d9f-abcde",
    "active": 1,
    "concurrency": 20,
    "draining": False,
    "app": "acme.tasks",
    "version": "1.4",
    "started_at": "2030-01-31T06:00:00.000Z",
}

_SCHEMA: Final = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}

#: By the name of the answer's schema.
REPLIES: Final[dict[str, Any]] = {
    "EnqueueReply": {
        "ids": ["welcome-42"],
        "tasks": [{"queue": "emails", "id": "welcome-42", "created": True}],
    },
    "TaskReply": _FAILED,
    "WorkflowReply": {
        "id": "order-42",
        "queue": "orders",
        "state": "running",
        "created_at": "2030-01-31T07:00:00.000Z",
        "nodes": [_NODE, {**_NODE, "name": "ship", "id": "order-42:ship", "state": "blocked", "after": ["pay"]}],
    },
    "TaskList": {"tasks": [_TASK], "next_offset": None},
    "CancelReply": {"id": "welcome-42", "outcome": "discarded", "detail": "it had not started, and is discarded"},
    "QueueList": {"queues": [_FIGURES]},
    "QueueDetail": {**_FIGURES, "tasks": [{"name": "send", "schema": _SCHEMA}], "worker_list": [_WORKER]},
    "HoldReply": {"queue": "emails", "hold": True},
    "ScheduleList": {"schedules": [_SCHEDULE]},
    "ReviveReply": {"queue": "emails", "revived": 1, "left": 0},
    "ResetPreview": {
        "queue": "emails",
        "would_discard": {"blocked": 0, "waiting": 3, "delayed": 2, "dead": 1},
        "active": 1,
        "confirm": "emails",
    },
    "ResetReply": {
        "queue": "emails",
        "discarded": {"blocked": 0, "waiting": 3, "delayed": 2, "dead": 1},
        "active": 1,
        "complete": True,
    },
    "Health": {"status": "ok"},
}

_ORIGIN: Final = (
    "Pages of https://evil.example may not change anything here. FERRYMAN_API_ORIGINS lists those that may."
)
_STARTED: Final = "Task welcome-42 of emails: it has finished already."
_UNSTOPPABLE: Final = "Task welcome-42 of emails: it is running in a thread, which can't be stopped: …"
_UNCONFIRMED: Final = 'This would discard 3 waiting tasks of emails. To do it, send {"confirm": "emails"}.'

#: Every problem that a client can meet, by its kind.
PROBLEMS: Final[dict[str, Problem]] = {
    problem.kind: problem
    for problem in (
        Problem(400, "invalid-json", "The body is not JSON: Expecting value."),
        Problem(401, "unauthorized", "The bearer token is missing. Send the header Authorization: Bearer <token>."),
        out_of_scope(Scope.ADMIN, [Scope.READ]),
        Problem(403, "origin-not-allowed", _ORIGIN),
        Problem(403, "host-not-allowed", "Without a token only this machine is served, by the names localhost …"),
        Problem(404, "not-found", "There is nothing at /task; /openapi.json lists what there is."),
        Problem(404, "workflow-not-found", "orders knows no workflow order-42: it was never sent, or it has ended …"),
        Problem(404, "task-not-found", "emails knows no task welcome-42: it was never enqueued, was discarded, …"),
        Problem(
            404, "queue-not-found", "Nothing is known of a queue 'emailz'. Did you mean 'emails'?", nearest="emails"
        ),
        Problem(405, "method-not-allowed", "PUT cannot be used at /tasks; allowed: POST."),
        Problem(409, "task-finished", _STARTED, outcome="finished"),
        Problem(409, "task-cannot-stop", _UNSTOPPABLE, outcome="refused"),
        Problem(413, "body-too-large", "The body is over 1048576 bytes. Send fewer tasks at once, or …"),
        of_error(PayloadTooLarge(2_000_000, MAX_ARGS_BYTES)),
        Problem(415, "not-json", "Bodies are JSON here. Send the header Content-Type: application/json."),
        invalid("/delay", "'5x' is no duration; write it like 10s, 5m or 1h30m"),
        of_error(UnknownTask("emails", "sned", "send")),
        Problem(422, "confirmation-needed", _UNCONFIRMED, would_discard={"waiting": 3}),
        too_many(1),
        Problem(500, "internal-error", "This is a defect of the API; its log has the traceback."),
        of_error(BrokerUnavailable("Redis does not answer")),
        of_error(QueueFull("Redis is at its maxmemory")),
        of_error(NotReplicated([Enqueued("welcome-42", True)], 0, 1)),
    )
}
