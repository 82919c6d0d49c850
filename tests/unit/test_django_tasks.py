"""The backend for django.tasks: what a Django project sees of its tasks. Django 6's own, or else their backport."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from tempfile import NamedTemporaryFile
from typing import Any

import django
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone

from ferryman import TaskState
from ferryman.inspector import Inspector
from ferryman.testing import Tester

if not settings.configured:
    # In a file, because Django never closes a database in memory. It goes with the process.
    database = NamedTemporaryFile(suffix=".sqlite3")  # noqa: SIM115
    settings.configure(
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.contenttypes"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database.name}},
        TASKS={
            "default": {
                "BACKEND": "ferryman.django.FerrymanBackend",
                "QUEUES": ["default", "django-mails"],
                "OPTIONS": {"max_attempts": 2},
            },
        },
    )
    django.setup()

from ferryman.django import FreshConnections
from ferryman.django.backend import FerrymanBackend
from ferryman.django.checking import check_backend
from ferryman.django.interface import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_enqueued,
    task_finished,
    task_started,
)
from ferryman.django.results import _STATUS

try:
    from django.tasks import task
except ImportError:
    from django_tasks import task  # type: ignore[no-redef]

ran: list[Any] = []


@task
def add(a: int, b: int = 2) -> int:
    ran.append(("add", a, b, threading.current_thread() is threading.main_thread()))
    return a + b


@task(takes_context=True, queue_name="django-mails", priority=7)
async def greet(context: Any, name: str) -> None:
    ran.append(("greet", name, context.attempt, context.task_result.id))
    if name == "nobody":
        raise LookupError(name)


@task
def fail(when: str) -> None:
    raise ValueError(when)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    ran.clear()
    yield
    connection.close()


def test_it_says_what_it_can_do() -> None:
    backend = task_backends["default"]
    assert isinstance(backend, FerrymanBackend)
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_priority
    assert backend.supports_get_result


def test_a_task_travels_by_its_path_with_its_arguments_by_name(ferryman: Tester) -> None:
    result = add.enqueue(1, b=5)
    assert (result.status, result.args, result.kwargs) == (TaskResultStatus.READY, [1], {"b": 5})
    [seen] = ferryman.enqueued()
    assert (seen.id, seen.queue, seen.name, seen.args) == (result.id, "default", f"{__name__}.add", {"a": 1, "b": 5})


async def test_a_coroutine_enqueues_without_a_thread(ferryman: Tester) -> None:
    result = await greet.aenqueue(name="Ada")
    [seen] = ferryman.enqueued()
    assert (seen.id, seen.queue, seen.args, seen.priority) == (result.id, "django-mails", {"name": "Ada"}, 7)
    await ferryman.run_until_idle()
    assert (await greet.aget_result(result.id)).status is TaskResultStatus.SUCCESSFUL


def test_a_worker_runs_it_and_its_result_says_so(ferryman: Tester) -> None:
    result = add.enqueue(1)
    assert add.get_result(result.id).status is TaskResultStatus.READY
    ferryman.run_until_idle_sync()
    assert ran == [("add", 1, 2, True)]
    result.refresh()
    assert result.is_finished
    assert result.status is TaskResultStatus.SUCCESSFUL
    assert result.enqueued_at == ferryman.now
    assert result.finished_at == ferryman.now
    assert result.attempts == 1
    assert result.return_value == 3


def test_a_task_may_ask_for_its_context(ferryman: Tester) -> None:
    result = greet.enqueue("nobody")
    ferryman.run_until_empty_sync()
    assert ran == [("greet", "nobody", 1, result.id), ("greet", "nobody", 2, result.id)]


def test_a_task_that_gave_up_has_its_errors(ferryman: Tester) -> None:
    result = fail.enqueue("today")
    ferryman.run_until_idle_sync()
    result.refresh()
    assert (result.status, len(result.errors)) == (TaskResultStatus.READY, 1)  # its second attempt is to come
    ferryman.run_until_empty_sync()
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 2)
    assert [error.exception_class for error in result.errors] == [ValueError, ValueError]
    assert "raise ValueError(when)" in result.errors[-1].traceback
    assert result.started_at is not None
    assert result.last_attempted_at is not None
    assert result.finished_at is not None
    assert result.enqueued_at is not None
    assert result.enqueued_at <= result.started_at < result.last_attempted_at <= result.finished_at


def test_run_after_is_a_delay(ferryman: Tester) -> None:
    add.using(run_after=ferryman.now + timedelta(hours=1)).enqueue(1)
    assert ferryman.run_until_idle_sync() == []
    ferryman.advance("1h")
    assert len(ferryman.run_until_idle_sync()) == 1


def test_a_naive_run_after_is_in_the_projects_time_zone(ferryman: Tester) -> None:
    with override_settings(USE_TZ=False, TIME_ZONE="Europe/Berlin"):
        add.using(run_after=datetime(2100, 1, 31, 9, 0)).enqueue(1)  # noqa: DTZ001
        result = add.get_result(ferryman.enqueued()[0].id)
        assert result.enqueued_at is not None
        assert timezone.is_naive(result.enqueued_at)
    assert ferryman.enqueued()[0].run_at == datetime(2100, 1, 31, 8, 0, tzinfo=UTC)


def test_each_queue_of_a_backend_runs_each_task(ferryman: Tester) -> None:
    add.using(queue_name="django-mails").enqueue(1)
    [run] = ferryman.run_until_idle_sync()
    assert (run.queue, run.outcome) == ("django-mails", "completed")


def test_wrong_arguments_fail_where_they_are_given(ferryman: Tester) -> None:
    with pytest.raises(InvalidTask, match=r"c: task .*add' has no such parameter"):
        add.enqueue(1, c=3)  # type: ignore[call-arg]
    with pytest.raises(InvalidTask, match=r"a: .*missing"):
        add.enqueue()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Unsupported type"):
        add.enqueue(datetime.now(UTC))  # type: ignore[arg-type]
    assert ferryman.enqueued() == []


def everything(*words: str) -> None: ...


def test_a_function_whose_arguments_have_no_names_is_refused_where_it_is_decorated() -> None:
    with pytest.raises(InvalidTask, match="'words' takes any number of arguments; name them"):
        task(everything)


def test_a_cancelled_task_has_failed(ferryman: Tester) -> None:
    result = add.enqueue(1)
    task_backends["default"].queue("default").handlers[f"{__name__}.add"].ref(result.id).cancel_sync()  # type: ignore[attr-defined]
    with pytest.raises(TaskResultDoesNotExist):
        result.refresh()


def test_each_state_of_a_task_is_a_status_of_django() -> None:
    assert set(_STATUS) == set(TaskState)


def test_what_is_not_there_does_not_exist(ferryman: Tester) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        add.get_result("nothing")


def test_a_task_of_other_code_in_the_same_queue_does_not_exist_for_django(ferryman: Tester) -> None:
    other = task_backends["default"].queue("default").enqueue_sync("somebody.elses")  # type: ignore[attr-defined]
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(other.id)


def test_django_is_told_of_begin_and_end_and_of_no_retry(ferryman: Tester) -> None:
    told: list[tuple[str, str, TaskResultStatus]] = []

    def tell(signal: Any, task_result: Any, **_: Any) -> None:
        told.append((names[signal], task_result.task.func.__name__, task_result.status))

    names = {task_enqueued: "enqueued", task_started: "started", task_finished: "finished"}
    for signal in names:
        signal.connect(tell)
    try:
        fail.enqueue("today")
        add.enqueue(1)
        greet.enqueue("Ada")
        ferryman.run_until_empty_sync()
    finally:
        for signal in names:
            signal.disconnect(tell)
    ready, running = TaskResultStatus.READY, TaskResultStatus.RUNNING
    assert [one for one in told if one[1] == "fail"] == [
        ("enqueued", "fail", ready),
        ("started", "fail", running),
        ("started", "fail", running),
        ("finished", "fail", TaskResultStatus.FAILED),
    ]
    for name in ("add", "greet"):
        assert [one for one in told if one[1] == name] == [
            ("enqueued", name, ready),
            ("started", name, running),
            ("finished", name, TaskResultStatus.SUCCESSFUL),
        ]


def test_a_rolled_back_transaction_enqueues_nothing(ferryman: Tester) -> None:
    def order(breaks: bool) -> None:
        with transaction.atomic():
            transaction.on_commit(lambda: add.enqueue(1))
            assert ferryman.enqueued() == []
            if breaks:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        order(breaks=True)
    assert ferryman.enqueued() == []
    order(breaks=False)
    assert len(ferryman.enqueued()) == 1


def test_settings_that_work_are_not_complained_about() -> None:
    assert task_backends["default"].check() == []
    assert (
        check_backend("default", ["default"], {"redis_url": "redis://host:6379/0", "max_attempts": 3, "keep_result": 0})
        == []
    )


@pytest.mark.parametrize(
    ("queues", "options", "id_", "said"),
    [
        ([], {}, "E001", "TASKS['slow']: QUEUES is empty."),
        (["Mails"], {}, "E002", "'Mails' is not 1 to 63 of a-z"),
        (["django-mails"], {"redis": "redis://host"}, "E003", "OPTIONS has no 'redis'"),
        (
            ["django-mails"],
            {"redis_url": "http://:secret@host"},
            "E004",
            "TASKS['slow']: redis_url: ",
        ),
        (["django-mails"], {"redis_url": 7}, "E004", "redis_url: it is no text"),
        (["django-mails"], {"max_attempts": "3"}, "E005", "max_attempts: '3' is not a whole number"),
        (["django-mails"], {"keep_result": "soon"}, "E005", "keep_result: 'soon'"),
    ],
)
def test_a_bad_setting_is_an_error_of_check(queues: list[str], options: dict[str, Any], id_: str, said: str) -> None:
    params = {"BACKEND": "ferryman.django.FerrymanBackend", "QUEUES": queues, "OPTIONS": options}
    [found] = FerrymanBackend("slow", params).check()
    assert found.id == f"ferryman.{id_}"
    assert said in str(found)
    assert found.hint
    assert "secret" not in str(found)


def test_a_bad_setting_does_not_keep_tasks_from_being_defined() -> None:
    """Or `manage.py check`, which tells what is wrong, could not start."""
    bad = {"default": {"BACKEND": "ferryman.django.FerrymanBackend", "QUEUES": ["Mails"]}}
    with override_settings(TASKS=bad):
        defined = task(queue_name="Mails")(everyday)
        with pytest.raises(InvalidTask, match="queue: 'Mails'"):
            defined.enqueue()


def everyday() -> None: ...


async def test_a_stale_connection_of_coroutines_is_closed_where_it_is_used() -> None:
    def age() -> tuple[Any, Any]:
        connection.ensure_connection()
        connection.close_at = 0.0  # CONN_MAX_AGE has passed
        return connection.connection, threading.current_thread()

    old, thread = await sync_to_async(age)()
    assert thread is not threading.main_thread()
    with FreshConnections().around_run(None):  # type: ignore[arg-type]
        assert await sync_to_async(lambda: connection.connection)() is not old
    await sync_to_async(lambda: connection.close())()


def test_a_connection_in_a_transaction_is_left_alone() -> None:
    with transaction.atomic():
        connection.close_at = 0.0
        with FreshConnections().around_run(None):  # type: ignore[arg-type]
            pass
        assert not connection.closed_in_transaction
        assert not connection.needs_rollback


async def test_metrics_and_show_see_a_django_task_like_any_other(ferryman: Tester) -> None:
    result = await fail.aenqueue("today")
    await ferryman.run_until_empty()
    record = ferryman._link.run(Inspector("default").get(result.id))
    assert record is not None
    assert (record.name, record.args) == (f"{__name__}.fail", b'{"when":"today"}')
