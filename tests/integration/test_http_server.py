"""`ferryman api` as a process: it serves, stops on SIGTERM without cutting a request off, and refuses to be open."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

PATIENCE_S = 60

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start(redis_url: str, port: int) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def starting(*words: str, **env: str) -> subprocess.Popen[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("FERRYMAN_")}
        command = [sys.executable, "-m", "ferryman", "api", "--port", str(port), "--redis", redis_url, *words]
        started.append(
            subprocess.Popen(command, env=own | env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
        return started[-1]

    yield starting
    for process in started:
        process.kill()
        process.communicate()


def wait_until_it_serves(port: int) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                assert answer.status == 200
                return
        except OSError:
            assert time.monotonic() < ends_at
            time.sleep(0.05)


def test_it_serves_and_stops_on_sigterm_after_the_request_under_way(start: Start, port: int) -> None:
    process = start()
    wait_until_it_serves(port)
    body = b'{"queue": "emails", "task": "send"}'
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        head = "POST /tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
        slow.sendall(head.format(len(body)).encode() + body[:10])
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        slow.sendall(body[10:])
        assert slow.recv(100).startswith(b"HTTP/1.1 201")
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "serving http://127.0.0.1" in output
    assert "Traceback" not in output


def test_other_machines_are_served_only_with_a_token(start: Start) -> None:
    refused = start("--host", "0.0.0.0")
    output, _ = refused.communicate(timeout=PATIENCE_S)
    assert refused.returncode == 1
    assert "there is no token" in output
    assert "Traceback" not in output


def test_logs_are_json_when_that_is_asked_for(start: Start, port: int) -> None:
    process = start(FERRYMAN_LOG_FORMAT="json")
    wait_until_it_serves(port)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert output.startswith('{"time": ')
