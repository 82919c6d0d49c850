"""The control panel as it lies in the dashboard: which requests its buttons make, and what stays out of the JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from ferryman_dashboards import build_all
from ferryman_dashboards.buttons import API_URL
from ferryman_dashboards.pressing import Press, actions_of, question_of, request_of

BOARDS = build_all()
QUEUE = BOARDS["ferryman-queue.json"]
ACTIONS = actions_of(QUEUE)
VARIABLES = {
    "queue": "emails",
    "api_url": "https://ferryman.example.com",
    "token": "secret",
    "sample_task": "send",
    "sample_args": '{"to": "a@example.com"}',
}
PAGE = Press(VARIABLES, {"Waiting": "12", "Scheduled": "3", "Dead": "2"}, "https://grafana.example.com")


@pytest.mark.parametrize(
    ("title", "path", "body"),
    [
        ("Add 5 tasks", "/tasks", {"queue": "emails", "task": "send", "args": {"to": "a@example.com"}, "count": 5}),
        (
            "Add delayed task (10 s)",
            "/tasks",
            {"queue": "emails", "task": "send", "args": {"to": "a@example.com"}, "delay": "10s"},
        ),
        ("Crash a worker", "/tasks", {"queue": "emails", "task": "crash_once"}),
        ("Hold", "/queues/emails/hold", {}),
        ("Resume", "/queues/emails/resume", {}),
        ("Revive dead", "/queues/emails/revive", {}),
        ("Reset queue", "/queues/emails/reset", {"confirm": "emails"}),
    ],
)
def test_a_button_sends_one_request_to_the_api_with_the_token_of_the_page(title: str, path: str, body: Any) -> None:
    request = request_of(ACTIONS[title], PAGE)
    assert json.loads(request.pop("body")) == body
    assert request == {
        "url": f"https://ferryman.example.com{path}",
        "method": "POST",
        "headers": {
            "Content-Type": "application/json",
            "Authorization": "Bearer secret",
            "X-Grafana-Action": "1",
            "accept": "application/json, text/plain, */*",
        },
        "credentials": "same-origin",
    }


@pytest.mark.parametrize("title", ACTIONS)
def test_a_button_asks_a_question_that_names_the_queue_before_it_does_anything(title: str) -> None:
    question = question_of(ACTIONS[title], PAGE)
    assert "emails" in question
    assert question.rstrip(". ").endswith("?") or "?" in question
    assert "$" not in question


def test_reset_says_what_it_deletes_and_what_it_leaves() -> None:
    question = question_of(ACTIONS["Reset queue"], PAGE)
    for words in (
        "deletes",
        "waiting (12 now)",
        "scheduled (3)",
        "dead (2)",
        "for good",
        "other queues are not touched",
    ):
        assert words in question


def test_an_address_that_is_a_path_leads_through_grafanas_own_host() -> None:
    page = Press(VARIABLES | {"api_url": "/ferryman"}, {}, "https://grafana.example.com")
    assert request_of(ACTIONS["Hold"], page)["url"] == "https://grafana.example.com/ferryman/queues/emails/hold"


def test_no_token_lies_in_the_json_and_none_gets_into_the_pages_address() -> None:
    variables = {variable["name"]: variable for variable in QUEUE["templating"]["list"]}
    token = variables["token"]
    assert (token["type"], token["query"], token["current"]["value"], token["skipUrlSync"]) == ("textbox", "", "", True)
    for name, value in (("api_url", API_URL), ("sample_task", "echo"), ("sample_args", '{"value": "hello"}')):
        assert (variables[name]["query"], variables[name]["current"]["value"]) == (value, value)
        assert not variables[name]["skipUrlSync"]


def test_the_sample_is_a_task_of_the_quickstart() -> None:
    text = (Path(__file__).parents[2] / "examples" / "quickstart" / "app.py").read_text(encoding="utf-8")
    assert "async def echo(value: str)" in text
    assert "async def crash_once(" in text


def test_only_the_queues_dashboard_has_buttons_and_they_are_cells_of_a_table() -> None:
    """Canvas panels are a plugin of their own from Grafana 13.3 on; table cells need none."""
    assert [name for name, board in BOARDS.items() if actions_of(board)] == ["ferryman-queue.json"]
    [table] = [panel for panel in QUEUE["panels"] if panel["title"] == "Control panel"]
    assert table["type"] == "table"
    for override in table["fieldConfig"]["overrides"]:
        properties = {part["id"]: part["value"] for part in override["properties"]}
        if "actions" in properties:
            assert properties["custom.cellOptions"] == {"type": "actions"}


def test_two_buttons_of_one_title_are_an_error() -> None:
    look = {"defaults": {"actions": [{"title": "Go"}, {"title": "Go"}]}}
    with pytest.raises(ValueError, match="two buttons are called 'Go'"):
        actions_of({"panels": [{"title": "P", "fieldConfig": look}]})
