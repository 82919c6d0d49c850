"""`ferryman top` as a command: printed once for scripts, and in a real terminal, with and without colours."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ferryman_bench import Bench

from ferryman.cli.main import root
from ferryman.link import Link

COLOUR = re.compile(rb"\x1b\[(?:[0-9;:]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:[;:][0-9;:]*)?m")
ESCAPES = re.compile(rb"\x1b(?:\[[0-9;:?<>=]*[a-zA-Z]|\][^\x07]*\x07|[()=>78][0-9B]?)")


@pytest.fixture
async def emails(redis_url: str) -> AsyncIterator[Bench]:
    """A queue with a worker that holds something, and a dead task whose error could upset a terminal."""
    link = Link.from_url(redis_url)
    bench = Bench(link, None, "emails")  # type: ignore[arg-type]
    await bench.bury("welcome-7", name="send", error="Refused: \x1b[31mno\nFile tasks.py")
    await bench.hold_active("w1", "news-1", name="newsletter")
    await bench.enqueue("a", "b")
    await bench.run(bench.broker.announce())
    other = Bench(link, None, "email-archive")  # type: ignore[arg-type]
    await other.enqueue("z")
    await other.run(other.broker.announce())
    yield bench
    await link.close()


async def call(redis_url: str, *words: str) -> Result:
    """Runs the command beside the loop; its output is no terminal."""
    return await asyncio.to_thread(CliRunner().invoke, root, ["top", *words, "--redis", redis_url])


async def test_once_prints_a_line_per_queue(emails: Bench, redis_url: str) -> None:
    result = await call(redis_url, "--once")
    assert result.exit_code == 0
    heading, *lines = result.stdout.splitlines()
    assert heading.split()[:6] == ["QUEUE", "WAITING", "ACTIVE", "DELAYED", "BLOCKED", "DEAD"]
    assert [line.split()[:6] for line in lines] == [["email-archive", *"10000"], ["emails", *"21001"]]


async def test_once_with_a_queue_prints_its_workers_and_dead_tasks_too(emails: Bench, redis_url: str) -> None:
    result = await call(redis_url, "--once", "--queue", "emails")
    assert result.exit_code == 0
    assert "email-archive" not in result.stdout
    assert "worker w1, alive, holds 1/10" in result.stdout
    assert re.search(r"news-1 +newsletter +\d\.\ds +attempt 1", result.stdout)
    assert re.search(r"send +welcome-7 +Refused: �\[31mno$", result.stdout, re.MULTILINE)
    assert "\x1b" not in result.stdout


async def test_once_as_json_is_for_programs(emails: Bench, redis_url: str) -> None:
    result = await call(redis_url, "--json", "--queue", "email?")
    [one] = json.loads(result.stdout)["queues"]
    assert (one["queue"], one["waiting"], one["dead"], one["hold"]) == ("emails", 2, 1, False)
    [worker] = one["worker_list"]
    assert (worker["id"], worker["state"], worker["tasks"][0]["task"]) == ("w1", "alive", "newsletter")
    assert one["dead_tasks"][0]["id"] == "welcome-7"
    assert len(json.loads((await call(redis_url, "--json")).stdout)["queues"]) == 2


async def test_a_mistyped_queue_is_said(emails: Bench, redis_url: str) -> None:
    result = await call(redis_url, "--once", "--queue", "emials")
    assert result.stdout == ""
    assert "Did you mean 'emails'?" in result.stderr


@pytest.mark.parametrize("words", [["--once"], ["--json"], []])
async def test_a_redis_that_is_away_is_an_error_that_says_what_to_do(words: list[str]) -> None:
    result = await call("redis://:secret@127.0.0.1:1/0", *words)
    assert result.exit_code == 1
    assert "Redis unreachable at redis://:***@127.0.0.1:1/0" in result.stderr
    assert "--redis URL" in result.stderr


async def test_where_there_is_no_terminal_it_is_printed_once(emails: Bench, redis_url: str) -> None:
    result = await call(redis_url)
    assert result.exit_code == 0
    assert "emails" in result.stdout
    assert "printed once" in result.stderr


class Terminal:
    """A real terminal of 80 x 24 with `ferryman top` in it."""

    def __init__(self, redis_url: str, **env: str) -> None:
        self.said = b""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLORTERM")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ferryman", "top", "--redis", redis_url],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**clean, **env},
            start_new_session=True,
        )
        os.set_blocking(self._ours, False)

    def read(self) -> str:
        """All words so far, one after the other."""
        try:
            while data := os.read(self._ours, 65536):
                self.said += data
        except OSError:
            pass
        return ESCAPES.sub(b"", self.said).decode("utf-8", "replace")

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    async def until_said(self, *texts: str) -> None:
        async with asyncio.timeout(60):
            while not all(text in self.read() for text in texts):
                await asyncio.sleep(0.05)

    async def ended(self) -> int:
        async with asyncio.timeout(30):
            while (code := self.process.poll()) is None:
                self.read()
                await asyncio.sleep(0.05)
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.theirs)
        os.close(self._ours)


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({"TERM": "xterm-256color"}, True), ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False)],
    ids=["colour", "NO_COLOR"],
)
async def test_in_a_terminal(emails: Bench, redis_url: str, env: dict[str, Any], coloured: bool) -> None:
    terminal = Terminal(redis_url, **env)
    try:
        await terminal.until_said("email-archive", "emails", "? keys")
        terminal.press("r")
        await terminal.until_said("Reset email-archive?", "1 waiting")
        terminal.press("n")
        terminal.press("q")
        assert await terminal.ended() == 0
        assert bool(COLOUR.search(terminal.said)) is coloured
        assert termios.tcgetattr(terminal.theirs) == terminal.before, "the terminal is left as it was found"
    finally:
        terminal.close()


async def test_a_dumb_terminal_gets_plain_text(emails: Bench, redis_url: str) -> None:
    terminal = Terminal(redis_url, TERM="dumb", NO_COLOR="1")
    try:
        assert await terminal.ended() == 0
        assert "emails" in terminal.read()
        assert b"\x1b[?" not in terminal.said
    finally:
        terminal.close()
