"""A real browser: headless Chromium opens a page of an origin of its own, and the page reports what it met."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 120

PAGE = """<!doctype html><meta charset="utf-8"><title>buttons</title><script type="module">
const met = [];
for (const {url, ...request} of REQUESTS) {
  try {
    const answer = await fetch(url, request);
    met.push({status: answer.status, type: answer.type, text: await answer.text()});
  } catch (error) {
    met.push({error: String(error)});
  }
}
await fetch("/report", {method: "POST", body: JSON.stringify(met)});
</script>"""


class Origin:
    """A web server with one page, which sends `requests` when a browser opens it, and then reports.

    With `behind` and `token` it passes what comes under /ferryman/ on to that address, with that token, and keeps the
    Host, as an Ingress before Grafana does.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.behind, self.token = "", ""
        self.reports: queue.Queue[list[dict[str, Any]]] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = PAGE.replace("REQUESTS", json.dumps(origin.requests)).encode() if self.path == "/" else b""
                self._answer(body)

            def do_POST(self) -> None:
                if origin.behind and self.path.startswith("/ferryman/"):
                    self._pass_on(self.path.removeprefix("/ferryman"))
                    return
                origin.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(b"")

            def _pass_on(self, path: str) -> None:
                kept = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = kept | {"Authorization": f"Bearer {origin.token}"}
                asked = urllib.request.Request(f"{origin.behind}{path}", body, headers, method="POST")
                try:
                    with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
                        self._answer(answer.read(), answer.status, "application/json")
                except urllib.error.HTTPError as refusal:
                    self._answer(refusal.read(), refusal.code, "application/problem+json")

            def _answer(self, body: bytes, status: int = 200, kind: str = "text/html; charset=utf-8") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: pytest shows what matters."""

        return Handler


Visit = Callable[[Origin, list[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture
def origins() -> Iterator[tuple[Origin, Origin]]:
    """The one that the API knows, and a stranger."""
    both = Origin(), Origin()
    yield both
    for one in both:
        one.close()


@pytest.fixture
def visit(tmp_path: Path) -> Visit:
    """Opens a page in Chromium; returns what each of the requests that it sent met."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    assert program, "no Chromium: apt install --no-install-recommends chromium"

    def visiting(origin: Origin, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        origin.requests = requests
        # No sandbox: it cannot be set up as root, as in a container; the only pages are our own.
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        log = tmp_path / "chromium.log"
        with log.open("ab") as said:
            browser = subprocess.Popen(
                [program, *flags, f"--user-data-dir={tmp_path / 'profile'}", origin.url],
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        try:
            return origin.reports.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise AssertionError(f"the page never reported; Chromium said:\n{log.read_text()}") from None
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()

    return visiting
