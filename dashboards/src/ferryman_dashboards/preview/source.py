"""A Prometheus, asked as Grafana asks it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its labels, and values at times in seconds since 1970."""

    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The time that the dashboard shows, in seconds since 1970, and how far apart its points are."""

    start_s: float
    end_s: float
    step_s: float

    @property
    def first_s(self) -> float:
        """The first point: points are multiples of the step."""
        return self.start_s // self.step_s * self.step_s


class Prometheus:
    """The HTTP API of the Prometheus at `url`, until it is left. Every method raises httpx.HTTPError or ValueError."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url.rstrip("/") + "/api/v1/", timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def instant(self, expr: str, at_s: float) -> list[Series]:
        """The last value of each series."""
        found = self._ask("query", query=expr, time=at_s)["result"]
        return [Series(one["metric"], (float(one["value"][0]),), (float(one["value"][1]),)) for one in found]

    def range(self, expr: str, window: Window) -> list[Series]:
        """Each series over the window, at multiples of the step."""
        asked = {"start": window.first_s, "end": window.end_s, "step": window.step_s}
        found = self._ask("query_range", query=expr, **asked)["result"]
        return [
            Series(
                one["metric"],
                tuple(float(at) for at, _ in one["values"]),
                tuple(float(value) for _, value in one["values"]),
            )
            for one in found
        ]

    def label_values(self, selector: str, label: str, window: Window) -> list[str]:
        """The values that a label has in the series of a selector, sorted."""
        asked = {"match[]": selector, "start": window.start_s, "end": window.end_s}
        return sorted(self._ask(f"label/{label}/values", **asked))

    def scrape_interval_s(self) -> float:
        """The interval of its scrapes, as its configuration says."""
        found = re.search(r"scrape_interval: (\S+)", self._ask("status/config")["yaml"])
        return seconds(found[1]) if found else 15.0

    def _ask(self, what: str, **parameters: Any) -> Any:
        answer = self._client.get(what, params=parameters)
        body = answer.json()
        if body["status"] != "success":
            raise ValueError(f"{parameters}: {body['error']}")
        return body["data"]


def seconds(text: str) -> float:
    """A length of time as Prometheus writes it, such as 1h30m or 500ms. Raises ValueError."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
    if not re.fullmatch(r"(\d+(ms|[smhdw]))+", text):
        raise ValueError(f"{text!r} is no length of time; write 90s, 1h30m or 7d")
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdw])", text))
