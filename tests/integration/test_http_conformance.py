"""Schemathesis sends what OpenAPI allows and forbids: nothing is a server error, every answer is as described."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from ferryman_yard.api_process import ApiProcess

TOKEN = "conformance-token"

# What no schema can say is refused too: a delay together with a time, a reset without its confirmation. So valid by
# the schema may be 422. And a body that is invalid by its size alone is 413.
CONFIG = """
[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422]
"""


@pytest.fixture
def api(redis_url: str, tmp_path: Path) -> Iterator[ApiProcess]:
    process = ApiProcess(redis_url, tmp_path, FERRYMAN_API_TOKEN=TOKEN)
    yield process
    process.stop()


def test_every_answer_is_as_openapi_says_and_none_is_a_server_error(api: ApiProcess, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(tmp_path / "schemathesis.toml")),
        *("run", f"{api.url}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1", "--no-color"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Operations:       16 selected / 16 total" in done.stdout
    with urllib.request.urlopen(f"{api.url}/metrics", timeout=10) as answer:
        counted = [
            line for line in answer.read().decode().splitlines() if line.startswith("ferryman_http_requests_total")
        ]
    assert sum(float(line.rpartition(" ")[2]) for line in counted) > 200
    assert [line for line in counted if 'status="5' in line] == []
    said = api.log.read_text()
    assert "Traceback" not in said
    assert TOKEN not in said, "no token in logs"
