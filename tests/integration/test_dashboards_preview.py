"""The pictures from a real Prometheus that scrapes what the programs export."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from dashboard_cost.prometheus import NoPrometheus, Prometheus, program
from ferryman_dashboards.preview.source import Prometheus as Source
from ferryman_metrics.exercise import texts

ROOT = Path(__file__).parents[2]


@pytest.fixture
def exporter() -> Iterator[str]:
    """A target that says what the operator says; as host:port."""
    said = texts()["operator"].encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: pytest shows what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def prometheus(exporter: str, tmp_path: Path) -> Iterator[Prometheus]:
    """It has scraped the operator's figures at least twice."""
    try:
        program()
    except NoPrometheus as missing:
        if "CI" in os.environ:
            raise
        pytest.skip(str(missing))
    with Prometheus(tmp_path, exporter, scrape_timeout_s=1) as running:
        ends_at = time.monotonic() + 60
        while running.ask_now("count_over_time(ferryman_queue_tasks[1m]) > 1", time.time()).series == 0:
            assert time.monotonic() < ends_at, "nothing was scraped"
            time.sleep(0.2)
        yield running


def preview(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ferryman_dashboards", "preview", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "dashboards" / "src")}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=240)


def test_one_command_draws_every_dashboard(prometheus: Prometheus, tmp_path: Path) -> None:
    with Source(prometheus.url) as source:
        assert source.scrape_interval_s() == 1
    done = preview("--prometheus", prometheus.url, "--from", "now-5m", "--out", str(tmp_path / "pictures"))
    assert done.returncode == 0, done.stderr
    drawn = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert drawn == ["ferryman-operator.png", "ferryman-overview.png", "ferryman-queue.png"]
    assert done.stdout.count(".png") == 3


def test_a_prometheus_that_is_not_there_is_named_in_one_line() -> None:
    done = preview("--prometheus", "http://127.0.0.1:9", "--from", "now-5m")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("http://127.0.0.1:9: ")
    assert len(done.stderr.splitlines()) == 1
