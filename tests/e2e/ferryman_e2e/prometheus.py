"""The Prometheus that hack/monitoring puts into the cluster: it answers what Grafana would ask."""

import math
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ferryman_e2e.forward import Forward
from ferryman_e2e.kubectl import Kubectl

NAMESPACE = "ferryman-monitoring"
#: As hack/monitoring/prometheus.yaml says.
SCRAPE_S = 2

_INSTALL = Path(__file__).resolve().parents[3] / "hack/monitoring/install"


@dataclass(frozen=True, slots=True)
class Line:
    """One series over a time, as a graph draws it: (epoch seconds, value) where there is a value."""

    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def latest(self) -> float:
        """The last value; NaN for a line that never had one."""
        return self.points[-1][1] if self.points else math.nan

    @property
    def highest(self) -> float:
        """The highest value."""
        return max((value for _, value in self.points), default=math.nan)


class Prometheus:
    """Asks it through a port-forward."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl.within(NAMESPACE)
        self._forward = Forward(self._kubectl, "service/prometheus", 9090)
        self._client = httpx.Client(timeout=20, trust_env=False)

    def start(self) -> None:
        """Installs it where it is missing, and waits until it runs."""
        if self._kubectl.get("deployment", "prometheus") is None:
            subprocess.run([str(_INSTALL)], check=True)
        self._kubectl.rollout("deployment/prometheus")

    def close(self) -> None:
        """Ends the connections and the forward. Prometheus stays, with what it has scraped."""
        self._client.close()
        self._forward.close()

    def targets(self) -> list[dict[str, Any]]:
        """What is scraped, with `health` and `lastError`."""
        found: list[dict[str, Any]] = self._ask("targets", {"state": "active"})["activeTargets"]
        return found

    def value(self, expr: str) -> float | None:
        """The one value that the query has now; None when it has none. AssertionError: several."""
        series = self._ask("query", {"query": expr})["result"]
        assert len(series) <= 1, f"{expr}: {series}"
        return float(series[0]["value"][1]) if series else None

    def lines(self, expr: str, since_s: float, until_s: float) -> list[Line]:
        """The series between two moments (epoch). AssertionError: a wrong query."""
        # The last step is the end itself: one before it would show figures from before the last scrape.
        begin_s = until_s - math.ceil((until_s - since_s) / SCRAPE_S) * SCRAPE_S
        ask = {"query": expr, "start": begin_s, "end": until_s, "step": SCRAPE_S}
        found = self._ask("query_range", ask)["result"]
        return [
            Line(one["metric"], [(at, float(value)) for at, value in one["values"] if not math.isnan(float(value))])
            for one in found
        ]

    def _ask(self, what: str, parameters: dict[str, Any]) -> dict[str, Any]:
        answer = self._client.get(f"{self._forward.url()}/api/v1/{what}", params=parameters)
        assert answer.status_code == 200, f"{parameters}: {answer.text}"
        data: dict[str, Any] = answer.json()["data"]
        return data
