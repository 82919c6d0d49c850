"""The execution log of a crash test on Kubernetes, over real sockets: what the collector keeps, whatever breaks."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ferryman.crashtest.cluster.collector import Collector
from ferryman.crashtest.cluster.journal import read_journal
from ferryman.crashtest.cluster.remote_log import Line

_LIFE = """
import sys, time
from ferryman.crashtest.cluster.remote_log import Line
line = Line("127.0.0.1", int(sys.argv[1]))
line.send("up pod pod.1 500")
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
async def port(journal: Path) -> AsyncIterator[int]:
    server = await Collector(journal).serve(0)
    # Port 0 is another one for each of the two versions of IP.
    yield next(one.getsockname()[1] for one in server.sockets if one.family is socket.AF_INET)
    server.close()


def words(journal: Path) -> list[str]:
    return [line.rpartition(" ")[0] for line in journal.read_text().splitlines()]


async def test_a_line_is_on_disk_when_send_returns(journal: Path, port: int) -> None:
    line = Line("127.0.0.1", port)
    await asyncio.to_thread(line.send, "accepted t1")
    assert words(journal) == ["accepted t1"]
    await asyncio.to_thread(line.send, "accepted t2")
    assert words(journal) == ["accepted t1", "accepted t2"]
    line.close()


async def test_a_line_is_sent_until_it_was_answered(journal: Path, port: int) -> None:
    """The first connection breaks before the answer, when the line was written: it comes twice, and counts once."""
    talks = 0

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal talks
        talks += 1
        theirs, ours = await asyncio.open_connection("127.0.0.1", port)
        ours.write(await reader.readline())
        answer = await theirs.readline()
        if talks > 1:
            writer.write(answer)
        ours.close()
        writer.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    line = Line(*server.sockets[0].getsockname())
    await asyncio.to_thread(line.send, "start t1 r 1 p 1")
    line.close()
    server.close()
    assert words(journal) == ["start t1 r 1 p 1"] * 2
    assert len(read_journal(journal.read_text().splitlines()).executions) == 1


async def test_half_a_line_does_not_count(journal: Path, port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"accepted t")
    writer.close()
    await writer.wait_closed()
    line = Line("127.0.0.1", port)
    await asyncio.to_thread(line.send, "accepted t2")
    line.close()
    assert words(journal) == ["accepted t2"]


async def test_the_end_of_a_process_is_written_down_at_once(journal: Path, port: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", _LIFE, str(port)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == b"up\n"
    [life] = read_journal(journal.read_text().splitlines()).lives
    assert (life.pod, life.process, life.gone_ms) == ("pod", "pod.1", None)
    assert life.up_ms - life.started_ms == pytest.approx(500)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    async with asyncio.timeout(10):
        while "gone pod pod.1" not in words(journal):
            await asyncio.sleep(0.01)
    [life] = read_journal(journal.read_text().splitlines()).lives
    assert life.gone_ms is not None
