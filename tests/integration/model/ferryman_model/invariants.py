"""What must hold after every step: Redis, read raw, is as the book says, and the accounting is exact."""

from __future__ import annotations

from ferryman.history import read_history
from ferryman.inspector import QueueStats
from ferryman.keys import MARKER
from ferryman.task import TaskState
from ferryman_model.book import Book, Record
from ferryman_model.command import same
from ferryman_model.photo import Fields, Photo

COUNTERS = (
    "enqueued",
    "completed",
    "discarded",
    "cancelled",
    "failed",
    "retried",
    "recovered",
    "revived",
    "parked",
    "dead_by_crash",
)


def check(book: Book, photo: Photo, stats: QueueStats) -> None:
    """Raises AssertionError, saying what is wrong."""
    _places(book, photo)
    _line(book, photo)
    _records(book, photo)
    _workers(book, photo)
    _accounting(book, photo, stats)
    same("unique keys", photo.unique, book.owners)


def _places(book: Book, photo: Photo) -> None:
    """Each task is in exactly one place, by the moment that counts there. For waiting see _line."""
    same("delayed", photo.delayed, {r.id: r.due_ms for r in book.those(TaskState.DELAYED)})
    same("blocked", sorted(photo.blocked), sorted(r.id for r in book.those(TaskState.BLOCKED)))
    same("dead", photo.dead, {r.id: r.ended_ms for r in book.those(TaskState.DEAD)})
    same("completed", photo.completed, {r.id: r.ended_ms for r in book.kept()})
    same("active", photo.active, {m.id: m.held for m in book.roster.members.values() if m.held})
    everywhere = [id for held in photo.active.values() for id in held]
    same("active tasks", sorted(everywhere), sorted(r.id for r in book.those(TaskState.ACTIVE)))


def _line(book: Book, photo: Photo) -> None:
    """Waiting and handed: every waiting task has an entry or a marker, and what is more than that are ghosts."""
    waiting = book.those(TaskState.WAITING)
    entries = photo.waiting + photo.handed
    missing = [r.id for r in waiting if r.score is None and r.id not in entries]
    assert not missing, f"{missing} are waiting, but stand neither in waiting nor in handed: {photo}"
    same("priority", photo.priority, {r.id: r.score for r in waiting if r.score is not None})
    markers = entries.count(MARKER)
    assert markers >= len(photo.priority), f"{len(photo.priority)} tasks with a priority have {markers} markers"
    same("ghosts", int(photo.stats.get("ghosts", "0")), len(entries) - len(waiting))


def _records(book: Book, photo: Photo) -> None:
    """The HASH of each task says where it is, and what it has spent."""
    same("tasks", photo.task.keys(), book.records.keys())
    for id, record in book.records.items():
        same(f"the record of {id}", _spent(photo.task[id]), _known(record))
        runs = [(run.attempt, run.outcome) for run in read_history(photo.task[id].get("history", ""))]
        same(f"the history of {id}", runs, record.history)


def _spent(fields: Fields) -> dict[str, str | int]:
    words: dict[str, str | int] = {name: fields.get(name, "") for name in ("state", "worker", "args")}
    numbers = ("attempt", "deliveries", "crashes", "recoveries", "parks", "parked", "deaths")
    return words | {name: int(fields.get(name, "0")) for name in numbers}


def _known(record: Record) -> dict[str, str | int]:
    words: dict[str, str | int] = {"state": record.state.value, "worker": record.holder}
    ended = record.state in (TaskState.COMPLETED, TaskState.DISCARDED)
    words["args"] = "" if ended else record.life.decode()
    numbers = ("attempt", "deliveries", "crashes", "recoveries", "parks", "parked", "deaths")
    return words | {name: int(getattr(record, name)) for name in numbers}


def _workers(book: Book, photo: Photo) -> None:
    """Who is registered, until when; nobody else has a list, a hash, looks or a slot."""
    members = book.roster.members
    same("workers", photo.workers, {m.id: m.deadline_ms for m in members.values()})
    same("workers' hashes", photo.worker.keys(), members.keys())
    same("slots", photo.slots, book.roster.slots)
    strangers = photo.suspected.keys() - members.keys()
    assert not strangers, f"{strangers} are suspected, but not registered"


def _accounting(book: Book, photo: Photo, stats: QueueStats) -> None:
    """The counters are the model's, and add up to what lies there; the stats script sees the same."""
    counters = {name: int(photo.stats.get(name, "0")) for name in COUNTERS}
    same("counters", counters, {name: book.counters[name] for name in COUNTERS})
    ghosts = int(photo.stats.get("ghosts", "0"))
    lies = {
        "waiting": len(photo.waiting) + len(photo.handed) - ghosts,
        "delayed": len(photo.delayed),
        "blocked": len(photo.blocked),
        "active": sum(map(len, photo.active.values())),
        "dead": len(photo.dead),
    }
    ended = counters["completed"] + counters["discarded"]
    same("enqueued", counters["enqueued"], sum(lies.values()) + ended)
    same("unaccounted", stats.unaccounted, 0)
    same("stats", {name: getattr(stats, name) for name in lies}, lies)
