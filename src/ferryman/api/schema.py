"""The API's bodies, with the descriptions and examples that OpenAPI shows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic.config import JsonDict

from ferryman.task import MAX_PRIORITY
from ferryman.uniqueness import UniqueFor

#: Tasks in one request, all counts together.
TASKS_AT_MOST = 10_000

_EXAMPLE: JsonDict = {"queue": "emails", "task": "send", "args": {"to": "a@example.com", "subject": "hi"}}

#: Shown in OpenAPI only; `ferryman.task` checks them, and says in words what is wrong.
QUEUE_PATTERN = "^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"
ID_PATTERN = "^[A-Za-z0-9_.:-]{1,128}$"
NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_.-]{0,127}$"
UNIQUE_PATTERN = "^[\\x21-\\x7e]{1,200}$"

Queue = Annotated[
    str, Field(description="The queue's name.", examples=["emails"], json_schema_extra={"pattern": QUEUE_PATTERN})
]
TaskId = Annotated[
    str, Field(description="The task's id.", examples=["welcome-42"], json_schema_extra={"pattern": ID_PATTERN})
]
DiscardableState = Literal["blocked", "waiting", "delayed", "dead", "completed"]


class Body(BaseModel):
    """What a client sends: exact types, and no field that would be ignored in silence."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TaskRequest(Body):
    """One task, or `count` equal ones."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [_EXAMPLE, {**_EXAMPLE, "delay": "10s"}]}
    )

    queue: Queue
    task: str = Field(
        description="The task's name: that of the function unless it was given another.",
        examples=["send"],
        json_schema_extra={"pattern": NAME_PATTERN},
    )
    args: dict[str, Any] = Field(
        default={}, description="The arguments, by parameter name.", examples=[{"to": "a@example.com"}]
    )
    delay: str | int | float | None = Field(
        default=None, description="Start it this much later: `10s`, `1h30m`, or seconds as a number.", examples=["10s"]
    )
    at: str | None = Field(
        default=None,
        description="Start it at this time, ISO 8601 with a time zone. Not together with `delay`.",
        examples=["2030-01-31T08:00:00+01:00"],
    )
    count: int = Field(default=1, ge=1, le=TASKS_AT_MOST, description="Enqueue it this many times.", examples=[5])
    priority: int = Field(
        default=0,
        ge=-MAX_PRIORITY,
        le=MAX_PRIORITY,
        description="Higher runs earlier; 0 is the common line.",
        examples=[5],
    )
    id: str | None = Field(
        default=None,
        description="The task's id and idempotency key: while this task or its kept status exists, nothing is added.",
        examples=["welcome-42"],
    )
    unique: str | None = Field(
        default=None,
        description="No second task with this key until this one is completed, dead or discarded.",
        examples=["welcome:a@example.com"],
    )
    unique_for: UniqueFor | None = Field(
        default=None,
        description="With `unique`: until its task has ended (the default), or only until a worker has fetched it.",
        examples=["while_waiting"],
    )
    throttle: str | int | float | None = Field(
        default=None,
        description="With `unique`: at most one task in this time, whatever becomes of it.",
        examples=["10s"],
    )
    debounce: str | int | float | None = Field(
        default=None,
        description="With `unique`: runs when no other came for this time; the last one's arguments count.",
        examples=["5s"],
    )
    lane: str | None = Field(default=None, description="Whose turn it takes.", examples=["tenant-7"])
    max_attempts: int | None = Field(default=None, ge=1, description="How many times to try it.", examples=[3])
    keep_result: str | int | float | None = Field(
        default=None, description="For how long its result can be had. Default: as its handler says.", examples=["1h"]
    )
    expires: str | int | float | None = Field(
        default=None,
        description="So long from now no worker runs it any more. Default: as its handler says.",
        examples=["10m"],
    )


class TaskRequests(Body):
    """Several tasks, for one queue or many."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"tasks": [_EXAMPLE]}]})

    tasks: list[TaskRequest] = Field(
        min_length=1, max_length=TASKS_AT_MOST, description="Each with the fields of a single task."
    )


def _one_or_many(body: Any) -> str:
    return "many" if isinstance(body, dict) and "tasks" in body else "one"


EnqueueBody = Annotated[
    Annotated[TaskRequest, Tag("one")] | Annotated[TaskRequests, Tag("many")], Discriminator(_one_or_many)
]


class EnqueuedTask(BaseModel):
    """`created` is false when a task with this id or unique key existed already."""

    queue: Queue
    id: TaskId
    created: bool


class EnqueueReply(BaseModel):
    """In the order of the request."""

    ids: list[str]
    tasks: list[EnqueuedTask]


class QueueFigures(BaseModel):
    """The figures of a queue, by the names of `ferryman stats --json`, and whether it is held."""

    queue: Queue
    waiting: int
    active: int
    delayed: int
    blocked: int = Field(description="They wait for other tasks, or for a place in a full lane.")
    dead: int
    completed: int = Field(description="Since the beginning, as failed to enqueued.")
    failed: int
    retried: int
    recovered: int
    discarded: int
    cancelled: int = Field(description="Of the discarded: those that were cancelled while they ran.")
    expired: int = Field(description="Of the discarded: those whose deadline passed before a worker ran them.")
    enqueued: int
    workers: int
    parked: int = Field(description="Delayed because no worker knew their name.")
    oldest_waiting_s: float
    unaccounted: int | None = Field(
        description="Always 0, unless somebody edited Redis by hand. Null where more than 1,000 workers are "
        "registered: what they hold is not counted then, and `active` is what the counters leave for it."
    )
    hold: bool


class QueueList(BaseModel):
    """Every queue that was ever used here."""

    queues: list[QueueFigures]


class KnownTask(BaseModel):
    """A task that the queue's workers can run."""

    name: str
    schema_: dict[str, Any] = Field(serialization_alias="schema", description="JSON Schema of its arguments.")


class WorkerView(BaseModel):
    """A worker, and how much it has in hand."""

    id: str
    pod: str
    active: int
    concurrency: int
    draining: bool
    app: str
    version: str
    started_at: str | None


class QueueDetail(QueueFigures):
    """A queue in full."""

    tasks: list[KnownTask]
    worker_list: list[WorkerView]


class ResetBody(Body):
    """What to discard. `confirm` repeats the queue's name, so that nobody does it by accident."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"confirm": "emails"}]})

    confirm: str = Field(default="", description="The queue's name, or nothing is done.")
    states: list[DiscardableState] = Field(
        default=["blocked", "waiting", "delayed", "dead"],
        min_length=1,
        description="`completed` forgets the kept status of completed tasks. Active tasks finish by themselves.",
    )


class ResetPreview(BaseModel):
    """What a reset would discard now. `confirm` is what its body must say."""

    queue: Queue
    would_discard: dict[str, int]
    active: int = Field(description="Tasks that are running; a reset leaves them alone.")
    confirm: str


class ResetReply(BaseModel):
    """What was discarded, by state. `complete` is false when time ran out: send it again."""

    queue: Queue
    discarded: dict[str, int]
    active: int = Field(description="Tasks that were running, and go on.")
    complete: bool


class ReviveBody(Body):
    """Which dead tasks; without `ids` all of them."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"ids": ["welcome-42"]}]})

    ids: list[TaskId] | None = Field(
        default=None, min_length=1, max_length=1000, description="Only these. Those that are not dead are passed over."
    )


class ReviveReply(BaseModel):
    """`left` is how many are still dead."""

    queue: Queue
    revived: int
    left: int


class HoldReply(BaseModel):
    """Whether workers may fetch."""

    queue: Queue
    hold: bool


class Health(BaseModel):
    """The process is well."""

    status: Literal["ok"]


class ProblemReply(BaseModel):
    """RFC 9457 problem details, sent as application/problem+json; some kinds carry more members."""

    type: str = Field(description="What kind of problem; switch on this.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong here, and what to do.")
