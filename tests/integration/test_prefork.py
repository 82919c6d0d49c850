"""gunicorn with forked workers: a queue that was used before the fork is used after it, on connections of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from ferryman.call import command
from ferryman.inspector import Inspector
from ferryman.link import Link

_WORKERS = 3
_PATIENCE_S = 30

#: --preload: the module, and what it enqueues and keeps open, is there before gunicorn forks.
_WSGI = """
import asyncio
import json
import os

from ferryman import Queue

queue = Queue("web")


@queue.task
def visit(pid: int, parent: int) -> None: ...


MASTER = os.getpid()
visit.enqueue_sync(MASTER, 0)
loop = asyncio.new_event_loop()  # it stays open, and so does its connection
loop.run_until_complete(visit.enqueue(MASTER, 0))


def app(environ, start_response):
    pid = os.getpid()
    visit.enqueue_sync(pid, MASTER)
    asyncio.run(visit.enqueue(pid, MASTER))  # a loop of this request's own
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([pid, MASTER]).encode()]
"""


def _ask(port: int) -> list[int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
        pids: list[int] = json.load(answer)
        return pids


async def test_each_forked_worker_enqueues_on_connections_of_its_own(
    redis_url: str, real_link: Link, tmp_path: Path
) -> None:
    (tmp_path / "web.py").write_text(_WSGI, encoding="utf-8")
    words = ("-m", "gunicorn", "--preload", "--workers", str(_WORKERS), "--bind", "127.0.0.1:0", "web:app")
    env = {**os.environ, "FERRYMAN_REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1", "HOME": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=tmp_path, env=env, stdout=DEVNULL, stderr=PIPE
    )
    assert process.stderr
    said = ""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while "Listening at" not in said:
                line = (await process.stderr.readline()).decode()
                assert line, said
                said += line
        port = int(said.rsplit("http://127.0.0.1:", 1)[1].split(" ", 1)[0])
        answers: list[list[int]] = []
        async with asyncio.timeout(_PATIENCE_S):
            while len({pid for pid, _ in answers}) < _WORKERS:
                answers += await asyncio.gather(*(asyncio.to_thread(_ask, port) for _ in range(2 * _WORKERS)))
        masters = {master for _, master in answers}
        assert len(masters) == 1
        assert masters.isdisjoint(pid for pid, _ in answers)
        figures = await real_link.run(Inspector("web").stats())
        assert figures.enqueued == figures.waiting == 2 + 2 * len(answers)  # each exactly once
        assert figures.unaccounted == 0
        clients: str = await real_link.run(command("CLIENT", "LIST", read=_text))
        assert clients.count("cmd=evalsha") >= _WORKERS
    finally:
        process.terminate()
        _, rest = await process.communicate()
    assert "Traceback" not in said + rest.decode()


def _text(reply: object) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)
