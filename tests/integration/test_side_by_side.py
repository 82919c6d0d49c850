"""`make bench` as a person would start it, in small: it measures, prints its table, writes JSON and fills a page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tables.page import BEGIN, END
from tables.results import Results

BENCH = Path(__file__).parents[2] / "benchmarks" / "side_by_side.py"


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [sys.executable, str(BENCH), *words], capture_output=True, text=True, timeout=240, check=False
    )


def test_a_quick_run_of_ferryman_alone_fills_table_file_and_page(tmp_path: Path) -> None:
    json_file, page = tmp_path / "results.json", tmp_path / "page.md"
    page.write_text(f"# Page\n\n{BEGIN}\n{END}\n")
    words = ("--quick", "--only", "ferryman", "--workloads", "w1,enqueue-sync,footprint")

    done = bench(*words, "--json", str(json_file), "--page", str(page))

    assert done.returncode == 0, done.stderr
    assert "W1: no-op tasks, one worker process" in done.stdout
    assert "[3/3] footprint" in done.stderr
    results = Results.read(json_file)
    assert {run.workload: run.void for run in results.runs} == {"w1": "", "enqueue-sync": "", "footprint": ""}
    [drain] = [run for run in results.runs if run.workload == "w1"]
    assert drain.figures["extra"] == 0
    assert drain.figures["rate"] > 0
    assert "| W1: no-op tasks, one worker process |" in page.read_text()
    assert bench("--from", str(json_file)).stdout in done.stdout


def test_a_peer_that_does_not_exist_is_named_with_those_that_do() -> None:
    done = bench("--only", "ferriman")

    assert done.returncode == 2
    assert "there is no peer 'ferriman'" in done.stderr
    assert "bullmq" in done.stderr
