"""What Grafana sends when somebody presses a button: the request, made from the dashboard's JSON by Grafana's rules.

Those are in public/app/features/actions/utils.ts (buildActionRequest), public/app/core/utils/fetch.ts
(parseInitFromOptions) and the variables' interpolation of packages/scenes, of Grafana 11.6.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin

_VARIABLE = re.compile(r"\$(\w+)|\[\[(\w+)\]\]|\$\{([\w.]+)\}")
_DATA = "__data.fields."


@dataclass(frozen=True, slots=True)
class Press:
    """What is true on the page: the values of its variables, the table's row by column, and Grafana's own address."""

    variables: Mapping[str, str]
    row: Mapping[str, str]
    grafana_url: str

    def fill(self, text: str) -> str:
        """`text` with its variables replaced; one that the page does not know stays as it is."""

        def value(found: re.Match[str]) -> str:
            name = found[1] or found[2] or found[3]
            known = self.row.get(name[len(_DATA) :]) if name.startswith(_DATA) else self.variables.get(name)
            return found[0] if known is None else known

        return _VARIABLE.sub(value, text)


def actions_of(board: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """All actions of a dashboard by their title, wherever they are: for a whole panel or for one column."""
    found: dict[str, dict[str, Any]] = {}
    for panel in board["panels"]:
        for action in _actions_in(panel.get("fieldConfig", {})):
            if action["title"] in found:
                raise ValueError(f"{panel['title']}: two buttons are called {action['title']!r}")
            found[action["title"]] = action
    return found


def question_of(action: Mapping[str, Any], press: Press) -> str:
    """What the dialogue asks before anything is sent."""
    return press.fill(action.get("confirmation") or f"Are you sure you want to {action['title']}?")


def request_of(action: Mapping[str, Any], press: Press) -> dict[str, Any]:
    """The arguments of the browser's fetch: url, method, headers, body, credentials."""
    asked = action[action["type"]]
    url = press.fill(asked["url"])
    if url.startswith("/"):
        url = urljoin(press.grafana_url, url)
    if parameters := [(press.fill(name), press.fill(value)) for name, value in asked.get("queryParams") or ()]:
        url += ("&" if "?" in url else "?") + urlencode(parameters)
    headers = {press.fill(name): press.fill(value) for name, value in asked.get("headers") or ()}
    headers["X-Grafana-Action"] = "1"
    given = {name.lower() for name in headers}
    if asked["method"] in ("POST", "PUT", "PATCH") and "content-type" not in given:
        headers["content-type"] = "application/json"
    if "accept" not in given:
        headers["accept"] = "application/json, text/plain, */*"
    request = {"url": url, "method": asked["method"], "headers": headers, "credentials": "same-origin"}
    return request if asked["method"] == "GET" else request | {"body": press.fill(asked.get("body") or "{}")}


def _actions_in(looks: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from looks.get("defaults", {}).get("actions") or ()
    for override in looks.get("overrides", ()):
        for part in override["properties"]:
            if part["id"] == "actions":
                yield from part["value"]
