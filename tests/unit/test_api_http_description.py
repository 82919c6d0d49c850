"""OpenAPI and /docs: every route, parameter, answer and error has an example, and the examples are true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ferryman_yard.api_app import serve

import ferryman.api
from ferryman import new_task, task
from ferryman.api import schema
from ferryman.api.app import create_app
from ferryman.api.description import operations
from ferryman.api.examples import PROBLEMS, REPLIES
from ferryman.api.settings import ApiSettings
from ferryman.link import Link

API = Path(next(iter(ferryman.api.__path__)))
DOCS = Path(__file__).parents[2] / "docs" / "api.md"


def _no_link() -> Link:
    raise AssertionError("describing needs no Redis")


@pytest.fixture
def document() -> dict[str, Any]:
    return create_app(ApiSettings(token="t"), _no_link).openapi()


def fits(document: dict[str, Any], described: dict[str, Any], example: Any) -> None:
    """Raises when the example does not fit its schema."""
    jsonschema.validate(example, {**described, "components": document["components"]})


def media_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body, asked for or answered, with its place."""
    for method, path, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            yield f"{method} {path} body", media
        for status, response in operation["responses"].items():
            for media in response.get("content", {}).values():
                yield f"{method} {path} {status}", media


def test_every_body_and_answer_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    places = list(media_of(document))
    assert len(places) > 80
    for place, media in places:
        examples = [media["example"]] if "example" in media else [one["value"] for one in media["examples"].values()]
        assert examples, place
        for example in examples:
            fits(document, media["schema"], example)


def test_every_parameter_is_described_and_has_an_example_that_fits(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (method, path, parameter["name"])
            for example in parameter["schema"]["examples"]:
                fits(document, parameter["schema"], example)


def test_every_field_of_a_body_is_described(document: dict[str, Any]) -> None:
    for name in ("TaskRequest", "TaskRequests", "ResetBody", "ReviveBody"):
        for field, described in document["components"]["schemas"][name]["properties"].items():
            assert "description" in described, (name, field)


def test_errors_are_problem_documents_and_say_when_to_come_again(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if path not in ("/livez", "/readyz", "/metrics"):
            assert {"401", "403", "429", "503"} <= operation["responses"].keys(), (method, path)
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert set(response["content"]) == {"application/problem+json"}, (method, path, status)
            if status in ("429", "503"):
                assert "Retry-After" in response["headers"]


def test_every_kind_of_problem_in_the_code_has_an_example_and_a_line_in_the_docs() -> None:
    code = "".join(path.read_text() for path in API.rglob("*.py") if path.name != "examples.py")
    kinds = set(re.findall(r'(?:Problem|_again)\(\s*\d{3}, "([a-z-]+)"', code))
    defects = {"protocol-mismatch", "refused-by-redis"}  # never the client's to handle, as internal-error
    assert kinds - defects <= PROBLEMS.keys()
    text = DOCS.read_text(encoding="utf-8")
    assert [kind for kind in PROBLEMS.keys() | defects if f"`{kind}`" not in text] == []


def test_every_route_is_in_the_docs(document: dict[str, Any]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [(m, p) for m, p, _ in operations(document) if f"`{m} {p}`" not in text] == []


def test_every_answer_has_its_example(document: dict[str, Any]) -> None:
    used = {media["schema"].get("$ref", "").rpartition("/")[2] for _, media in media_of(document)}
    assert used - {"", "ProblemReply"} == REPLIES.keys()


@pytest.mark.parametrize(
    ("shown", "checked"),
    [
        (schema.QUEUE_PATTERN, task._QUEUE),
        (schema.ID_PATTERN, task._ID),
        (schema.NAME_PATTERN, task._NAME),
        (schema.UNIQUE_PATTERN, new_task._UNIQUE),
    ],
)
def test_the_patterns_that_are_shown_are_those_that_are_checked(shown: str, checked: re.Pattern[str]) -> None:
    assert shown == f"^{checked.pattern}$"


async def test_the_page_for_people_shows_everything_and_asks_nobody_else_for_anything() -> None:
    async with serve(token="t") as client:
        answer = await client.get("/docs")
        document = (await client.get("/openapi.json")).json()
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none';")
    assert "<script" not in answer.text
    assert re.findall(r"""(?:src|href)=["']?([^"'> ]+)""", answer.text) == ["openapi.json"]
    for method, path, operation in operations(document):
        assert f"<code>{method} {path}</code>" in answer.text
        for parameter in operation.get("parameters", ()):
            assert f"<code>{parameter['name']}</code>" in answer.text
    for field in document["components"]["schemas"]["TaskRequest"]["properties"]:
        assert f"<code>{field}</code>" in answer.text
    assert "curl http://127.0.0.1:8000/tasks -H &quot;Authorization: Bearer $TOKEN&quot;" in answer.text
