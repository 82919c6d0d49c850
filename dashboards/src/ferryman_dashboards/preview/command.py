"""What `python -m ferryman_dashboards preview` does: pictures of all dashboards from one Prometheus."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferryman_dashboards.preview.frames import asking
from ferryman_dashboards.preview.page import draw_page
from ferryman_dashboards.preview.source import Prometheus, Window, seconds
from ferryman_dashboards.queries import LABEL_VALUES, substitute

#: How many points a line has, about; Grafana gives it one for each pixel of a panel.
_POINTS = 240


def preview(url: str, since: str, until: str, chosen: Mapping[str, str], out: Path, boards: Mapping[str, Any]) -> None:
    """Writes a PNG for each of `boards` into the folder `out`.

    `since` and `until` are `now`, `now-1h` or seconds since 1970. `chosen` gives values of variables; all others take
    their default, all their values where a dashboard shows many, or the first. Raises ValueError or httpx.HTTPError
    when Prometheus does not answer.
    """
    now_s = time.time()
    start_s, end_s = moment(since, now_s), moment(until, now_s)
    if start_s >= end_s:
        raise ValueError(f"--from {since} is not before --to {until}")
    with Prometheus(url) as prometheus:
        _draw(prometheus, start_s, end_s, chosen, out, boards)


def _draw(
    prometheus: Prometheus,
    start_s: float,
    end_s: float,
    chosen: Mapping[str, str],
    out: Path,
    boards: Mapping[str, Any],
) -> None:
    scrape_s = prometheus.scrape_interval_s()
    window = Window(start_s, end_s, max(scrape_s, round((end_s - start_s) / _POINTS)))
    out.mkdir(parents=True, exist_ok=True)
    for name, board in boards.items():
        variables = {
            "__rate_interval": f"{max(window.step_s + scrape_s, 4 * scrape_s):.0f}s",
            "__range": f"{end_s - start_s:.0f}s",
        }
        for variable in board["templating"]["list"]:
            variables[variable["name"]] = _value(variable, prometheus, window, variables, chosen)
        path = out / name.replace(".json", ".png")
        draw_page(board, asking(prometheus, window, variables), window, variables).save(path)
        print(path)


def moment(text: str, now_s: float) -> float:
    """A time as Grafana's address has it, in seconds since 1970."""
    if found := re.fullmatch(r"now(?:-(\w+))?", text):
        return now_s - (seconds(found[1]) if found[1] else 0)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write now, now-1h or seconds since 1970") from None


def _value(
    variable: Mapping[str, Any],
    prometheus: Prometheus,
    window: Window,
    variables: Mapping[str, str],
    chosen: Mapping[str, str],
) -> str:
    if variable.get("includeAll"):
        return str(variable["allValue"])
    if variable["name"] in chosen:
        return chosen[variable["name"]]
    if variable["type"] == "datasource":
        return "Prometheus"
    if variable["type"] != "query":
        return str(variable.get("query") or "")
    found = LABEL_VALUES.fullmatch(variable["query"]["query"])
    assert found, "the linter's rules hold"
    values = prometheus.label_values(substitute(found["selector"], variables), found["label"], window)
    if not values:
        raise ValueError(f"Prometheus knows no value for the variable {variable['name']}; does it scrape the operator?")
    return values[0]
