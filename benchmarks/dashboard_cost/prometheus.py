"""A Prometheus of our own on a free loopback port, which is asked as Grafana would ask it, and says what that cost."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

_ROOT = Path(__file__).parents[2]
_START_S = 30


class NoPrometheus(Exception):
    """The program is missing, or it did not start."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a query: how many series, its time, and the samples that it read (`peak`: held at once)."""

    series: int
    seconds: float
    samples: int
    peak: int


def program() -> str:
    """Prometheus' path. Raises NoPrometheus."""
    found = shutil.which("prometheus", path=f"{_ROOT / '.cluster/bin'}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        raise NoPrometheus("no program prometheus: `make tools` fetches it, or install Debian's package prometheus")
    return found


class Prometheus:
    """Runs while it is entered; its data lie in `folder`. It scrapes `target` (host:port) all the time."""

    def __init__(self, folder: Path, target: str, scrape_timeout_s: int = 10) -> None:
        self._folder = folder
        self._target = target
        self._scrape_timeout_s = scrape_timeout_s
        self.url = ""
        self._client = httpx.Client(timeout=120, trust_env=False)

    def __enter__(self) -> Self:
        every = f"{self._scrape_timeout_s}s"
        config = self._folder / "prometheus.yml"
        job = {"job_name": "feed", "honor_labels": True, "static_configs": [{"targets": [self._target]}]}
        config.write_text(yaml.safe_dump({
            "global": {"scrape_interval": every, "scrape_timeout": every},
            "scrape_configs": [job],
            "storage": {"tsdb": {"out_of_order_time_window": "2h"}},
        }))  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{address}"
        self._log = (self._folder / "prometheus.log").open("wb")
        options = {
            "config.file": config,
            "storage.tsdb.path": self._folder / "data",
            "web.listen-address": address,
            "query.max-samples": 200_000_000,
            "query.timeout": "100s",
        }
        self._process = subprocess.Popen(
            [program(), *(f"--{name}={value}" for name, value in options.items())],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + _START_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise NoPrometheus("it did not start: " + (self._folder / "prometheus.log").read_text()[-2_000:])
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
        self._client.close()

    def ask_now(self, expr: str, at_s: float) -> Answer:
        """An instant query, as a table sends it."""
        return self._answer("query", {"query": expr, "time": at_s})

    def ask_range(self, expr: str, start_s: float, end_s: float, step_s: int) -> Answer:
        """A range query, as a graph sends it."""
        return self._answer("query_range", {"query": expr, "start": start_s, "end": end_s, "step": step_s})

    def ask_values(self, selector: str, label: str, start_s: float, end_s: float) -> Answer:
        """The values of a label, as a variable asks for them; Prometheus counts no samples for that."""
        began = time.perf_counter()
        what = {"match[]": selector, "start": start_s, "end": end_s}
        values = self._get(f"label/{label}/values", what)
        return Answer(len(values), time.perf_counter() - began, 0, 0)

    def _answer(self, path: str, what: dict[str, Any]) -> Answer:
        data = self._get(path, {**what, "stats": "all"})
        samples, timings = data["stats"]["samples"], data["stats"]["timings"]
        return Answer(
            series=len(data["result"]),
            seconds=float(timings["execTotalTime"]),
            samples=int(samples["totalQueryableSamples"]),
            peak=int(samples["peakSamples"]),
        )

    def _get(self, path: str, what: dict[str, Any]) -> Any:
        answer = self._client.get(f"{self.url}/api/v1/{path}", params=what)
        if answer.status_code != 200:
            raise ValueError(f"{what}: {answer.text}")
        return answer.json()["data"]

    def _is_ready(self) -> bool:
        try:
            return self._client.get(f"{self.url}/-/ready").status_code == 200
        except httpx.TransportError:
            return False
