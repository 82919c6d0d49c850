"""A light worker: what one that waits has loaded, and its beat child. Each start of a burst pays for it, in processor
time and in memory, so what is named here stays out."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ferryman_yard.process import children
from ferryman_yard.programs import Start

from ferryman import Queue
from ferryman.call import command
from ferryman.link import Link

#: Modules that belong to what a waiting worker does not do: it is not scraped, sends nothing, shows nothing to people,
#: runs the only version of its app, has one process, and speaks to Redis without a general client.
NOT_IN_A_WORKER = {
    *("prometheus_client", "redis", "importlib.metadata", "importlib.resources", "multiprocessing", "zoneinfo"),
    *("concurrent.futures.process", "email", "http", "http.server", "urllib.request", "tempfile", "shutil", "pickle"),
    *("difflib", "pprint", "unittest", "argparse", "logging.config", "secrets", "hmac", "hashlib", "cronsim"),
    *("ferryman.inspector", "ferryman.task_view", "ferryman.glance", "ferryman.cancelling", "ferryman.json_schema"),
    *("ferryman.timetable", "ferryman.workflow", "ferryman.overview", "ferryman.redis_client", "ferryman.testing"),
    *("ferryman_worker.metrics", "ferryman_worker.rehearsal"),
}

#: The same of what is there when the beat child is forked: it has no loop, no app and, here, no TLS.
NOT_IN_A_BEAT_CHILD = NOT_IN_A_WORKER | {
    *("asyncio", "uvloop", "ssl", "concurrent.futures", "subprocess", "encodings.idna", "unicodedata"),
    *("ferryman.connection", "ferryman.queue", "ferryman.handler", "ferryman.producer", "ferryman.manifest"),
    *("ferryman_worker.main_process", "ferryman_worker.worker", "ferryman_worker.processor"),
}

_APP = """
    import sys
    from pathlib import Path
    from ferryman import Queue

    light = Queue("light")

    @light.task
    async def tell(file: str) -> None:
        Path(file).write_text(" ".join(sys.modules))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the app, which every process of the test finds."""
    (tmp_path / "light_app.py").write_text(textwrap.dedent(_APP))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


async def test_a_waiting_worker_has_loaded_nothing_that_it_does_without(
    start: Start, redis_url: str, folder: Path
) -> None:
    told = folder / "modules"
    queue = Queue("light", redis_url=redis_url)
    await queue.enqueue("tell", {"file": str(told)})
    await start("worker", "light", "--app", "light_app", FERRYMAN_REDIS_URL=redis_url)
    assert not NOT_IN_A_WORKER & set((await _written(told)).split())


def test_at_the_fork_of_the_beat_child_only_what_it_needs_is_there() -> None:
    program = "import sys, ferryman.cli.main, ferryman_worker.command; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not NOT_IN_A_BEAT_CHILD & set(loaded.split())


async def test_a_beat_child_carries_no_loop_no_app_and_no_openssl(
    start: Start, real_link: Link, redis_url: str, folder: Path
) -> None:
    told = folder / "modules"
    queue = Queue("light", redis_url=redis_url)
    await queue.enqueue("tell", {"file": str(told)})
    worker = await start("worker", "light", "--app", "light_app", FERRYMAN_REDIS_URL=redis_url)
    await _written(told)
    async with asyncio.timeout(30):
        while b"name=ferryman-beat" not in await real_link.run(command("CLIENT", "LIST", read=bytes)):
            await asyncio.sleep(0.02)
    [beats] = children(worker.pid)
    mapped = Path(f"/proc/{beats}/maps").read_text(encoding="utf-8")
    assert "hiredis" in mapped
    for library in ("_asyncio", "uvloop", "_ssl", "libssl", "libcrypto", "_hashlib", "unicodedata"):
        assert library not in mapped


async def _written(file: Path) -> str:
    async with asyncio.timeout(30):
        while not (file.exists() and (text := file.read_text())):
            await asyncio.sleep(0.02)
    return text
