"""A Django project's tasks in a real worker: django.tasks from a request's transaction to a result."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path

import pytest
from ferryman_yard.programs import Start

from ferryman.inspector import Inspector
from ferryman.link import Link

_PATIENCE_S = 60

_SETTINGS = """
SECRET_KEY = "not secret: a test"
INSTALLED_APPS = ["acme", "other"]
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "acme.sqlite3"}}
TASKS = {
    "default": {"BACKEND": "ferryman.django.FerrymanBackend", "QUEUES": ["default", "slow"]},
    "dummy": {"BACKEND": "%s.backends.dummy.DummyBackend"},
}
"""

_MODELS = """
from django.db import models

class Page(models.Model):
    seen = models.IntegerField(default=0)
    class Meta:
        app_label = "acme"
"""

_TASKS = """
from acme.models import Page
try:
    from django.tasks import task
except ImportError:
    from django_tasks import task

@task
def see(page, times=1):
    found = Page.objects.get(pk=page)
    found.seen += times
    found.save()

@task(queue_name="slow")
async def asee(page):
    await Page.objects.filter(pk=page).aupdate(seen=100)

@task(backend="dummy")
def elsewhere(): ...
"""

#: An app with a queue of Ferryman's own, and no model.
_OTHER = """
from ferryman import Queue

queue = Queue("own")

@queue.task
def note(text: str) -> None: ...
"""

#: What a program of this project begins with.
_BEGIN = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "acme.settings"
import django
django.setup()
from django.db import transaction
from acme.models import Page
from acme.tasks import see, asee, elsewhere
"""


@pytest.fixture
def project(tmp_path: Path, redis_url: str) -> dict[str, str]:
    """The environment to run it in."""
    try:
        import django.tasks as _  # noqa: F401

        tasks = "django.tasks"
    except ImportError:
        tasks = "django_tasks"
    for path, text in {
        "acme/__init__.py": "",
        "acme/settings.py": _SETTINGS % tasks,
        "acme/models.py": _MODELS,
        "acme/tasks.py": _TASKS,
        "other/__init__.py": "",
        "other/tasks.py": _OTHER,
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return {
        "DJANGO_SETTINGS_MODULE": "acme.settings",
        "FERRYMAN_REDIS_URL": redis_url,
        "FERRYMAN_RUN_DIR": str(tmp_path),
        "FERRYMAN_TERMINATION_LOG": str(tmp_path / "termination-log"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])),
    }


@pytest.fixture
def program(project: dict[str, str], tmp_path: Path) -> Callable[[str], str]:
    """Runs some lines of a program of the project; returns what it printed."""

    def run(lines: str) -> str:
        environment = {**os.environ, **project}
        words = [sys.executable, "-W", "error", "-c", _BEGIN + lines]
        done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


async def test_tasks_of_committed_transactions_run_in_a_worker(
    start: Start,
    project: dict[str, str],
    program: Callable[[str], str],
    real_link: Link,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where its database is
    ids = program(
        "from django.core.management import call_command\n"
        "call_command('migrate', run_syncdb=True, verbosity=0)\n"
        "def order(pk, breaks):\n"
        "    with transaction.atomic():\n"
        "        page = Page.objects.create(pk=pk)\n"
        "        transaction.on_commit(lambda: print(see.enqueue(page.pk, times=3).id))\n"
        "        if breaks: raise ZeroDivisionError\n"
        "order(1, False)\n"
        "try: order(2, True)\n"
        "except ZeroDivisionError: pass\n"
        "print(asee.enqueue(9).id)\n"
        "print(elsewhere.using(backend='default').enqueue().id)\n"
    ).split()
    assert len(ids) == 3  # the order that was rolled back enqueued nothing
    for queue in ("default", "slow"):
        await start("worker", queue, "--app", "ferryman.django.app", **project)
    async with asyncio.timeout(_PATIENCE_S):
        for queue, tasks in (("default", 2), ("slow", 1)):
            while (await real_link.run(Inspector(queue).stats())).completed < tasks:
                await asyncio.sleep(0.05)
    said = program(f"print([see.get_backend().get_result(id).status.value for id in {ids}], Page.objects.get().seen)")
    assert said == "['SUCCESSFUL', 'SUCCESSFUL', 'SUCCESSFUL'] 3"
    assert (await real_link.run(Inspector("default").stats())).enqueued == 2


async def test_a_worker_serves_the_queues_of_ferrymans_own_in_the_same_project(
    start: Start, project: dict[str, str], real_link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await start("worker", "own", "--app", "ferryman.django.app", **project)
    enqueue = await start("enqueue", "own", "note", '{"text": "hello"}', **project)
    assert await enqueue.wait() == 0
    async with asyncio.timeout(_PATIENCE_S):
        while (await real_link.run(Inspector("own").stats())).completed < 1:
            await asyncio.sleep(0.05)


async def test_a_project_without_a_queue_says_what_to_do(
    start: Start, project: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acme/settings.py").write_text("INSTALLED_APPS = []\nSECRET_KEY = 'x'\n", encoding="utf-8")
    worker = await start("worker", "default", "--app", "ferryman.django.app", stderr=PIPE, **project)
    _, said = await worker.communicate()
    assert worker.returncode == 1
    assert "TASKS names no ferryman.django.FerrymanBackend" in said.decode()


async def test_a_worker_without_settings_says_which_variable_is_missing(
    start: Start, project: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    without = {**project, "DJANGO_SETTINGS_MODULE": ""}
    worker = await start("worker", "default", "--app", "ferryman.django.app", stderr=PIPE, **without)
    _, said = await worker.communicate()
    assert worker.returncode == 1
    assert "DJANGO_SETTINGS_MODULE" in said.decode()
