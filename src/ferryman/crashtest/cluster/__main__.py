"""What the crash test's own pods run: `python -m ferryman.crashtest.cluster collect|produce|examine`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import Any

from ferryman.crashtest.app import define_tasks
from ferryman.crashtest.cluster.collector import PORT, Collector
from ferryman.crashtest.cluster.producer import Producer, examine
from ferryman.crashtest.cluster.remote_log import Line, RemoteLog
from ferryman.crashtest.plan import plan_work
from ferryman.link import Link
from ferryman.queue import Queue
from ferryman.settings import RedisSettings


def main() -> None:
    """Reads the command line and the environment."""
    parser = argparse.ArgumentParser(prog="python -m ferryman.crashtest.cluster")
    commands = parser.add_subparsers(dest="command", required=True)
    collect = commands.add_parser("collect")
    collect.add_argument("path", type=Path)
    collect.add_argument("--port", type=int, default=PORT)
    for name in ("produce", "examine"):
        command = commands.add_parser(name)
        command.add_argument("queue")
        command.add_argument("--seed", type=int, required=True)
        command.add_argument("--tasks", type=int, required=True)
        command.add_argument("--task-ms", type=float, required=True)
        if name == "produce":
            command.add_argument("--over-ms", type=int, required=True)
            command.add_argument("--collector", required=True)
    arguments = parser.parse_args()
    asyncio.run({"collect": _collect, "produce": _produce, "examine": _examine}[arguments.command](arguments))


async def _collect(arguments: argparse.Namespace) -> None:
    server = await Collector(arguments.path).serve(arguments.port)
    await server.serve_forever()


async def _produce(arguments: argparse.Namespace) -> None:
    url = RedisSettings.from_env(os.environ).url
    work = plan_work(arguments.seed, arguments.tasks, arguments.task_ms)
    collector = Line(arguments.collector, PORT)
    queue = Queue(arguments.queue, redis_url=url)
    define_tasks(queue, RemoteLog(arguments.collector, PORT, "producer"))
    link = Link.from_url(url, client_name="ferryman-crash-test")
    await Producer(queue, link, collector, work, arguments.over_ms).run()


async def _examine(arguments: argparse.Namespace) -> None:
    ids = plan_work(arguments.seed, arguments.tasks, arguments.task_ms).ids
    link = Link.from_url(RedisSettings.from_env(os.environ).url, client_name="ferryman-crash-test")
    answer: dict[str, Any] = await examine(link, arguments.queue, ids)
    await link.close()
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
