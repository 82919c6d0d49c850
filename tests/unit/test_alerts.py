"""The alerts: each fires and resolves in a promtool test, asks only for what is exported, and has a runbook.

Needs promtool (`make tools` puts it into .cluster/bin); without it those tests are skipped, and fail in CI.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ferryman_dashboards import build_all

from ferryman.cli.catalogue import KNOWN

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "charts" / "ferryman" / "alerts").glob("*.yaml"))
SCRIPTS = sorted((ROOT / "tests" / "alerts").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"

ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for path in RULES
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def run_promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    promtool = shutil.which("promtool", path=f"{ROOT / '.cluster' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if promtool is None:
        assert "CI" not in os.environ, "no promtool: run make tools first"
        pytest.skip("no promtool: make tools fetches it")
    return subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=60)


def page(alert: str) -> Path:
    return RUNBOOKS / f"{re.sub(r'(?<!^)(?=[A-Z])', '-', alert).lower()}.md"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.stem))
def test_the_alerts_fire_and_resolve(script: Path) -> None:
    done = run_promtool("test", "rules", str(script))
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules() -> None:
    done = run_promtool("check", "rules", "--lint-fatal", *map(str, RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_shown_to_fire_and_then_not_to() -> None:
    said: dict[str, list[bool]] = {}
    for script in SCRIPTS:
        for test in yaml.safe_load(script.read_text(encoding="utf-8"))["tests"]:
            for look in test["alert_rule_test"]:
                said.setdefault(look["alertname"], []).append(bool(look.get("exp_alerts")))
    assert said.keys() == ALERTS.keys()
    for alert, fires in said.items():
        assert True in fires, f"{alert} never fires"
        assert False in fires[fires.index(True) :], f"{alert} never resolves"


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_says_how_bad_it_is_what_the_figure_is_and_where_to_go(alert: str) -> None:
    rule = ALERTS[alert]
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "$value" in rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{page(alert).name}"
    assert "$value" not in rule["annotations"]["summary"], "a summary that changes is a new alert to some receivers"


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_every_alert_has_a_runbook_that_answers_the_four_questions(alert: str) -> None:
    text = page(alert).read_text(encoding="utf-8")
    assert text.startswith(f"# {alert}\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["What it means", "How to look", "What to do", "When to worry"]
    assert "`" in text.partition("## How to look")[2].partition("## What to do")[0], "no command to look with"


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: str(path.stem))
def test_a_runbook_names_panels_commands_and_pages_that_exist(runbook: Path) -> None:
    text = " ".join(runbook.read_text(encoding="utf-8").split())
    titles = {panel["title"] for board in build_all().values() for panel in board["panels"]}
    for sentence in re.findall(r"Dashboard \*.+?[.?]", text):
        named = set(re.findall(r'"([^"]+)"', sentence))
        assert named - {"completed", "enqueued"} <= titles
    assert set(re.findall(r"(?<![\w/-])ferryman ([a-z-]+) ", text)) <= set(KNOWN)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (runbook.parent / target).is_file(), target


def test_no_runbook_is_left_over() -> None:
    assert {path.name for path in RUNBOOKS.glob("*.md")} == {page(alert).name for alert in ALERTS}
