"""How the API describes itself in OpenAPI: each route's problems, scopes and examples, and where Retry-After comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from ferryman.api.auth import OPEN_PATHS, scope_needed
from ferryman.api.examples import PROBLEMS, REPLIES
from ferryman.api.problems import CONTENT_TYPE
from ferryman.api.schema import ProblemReply

DESCRIPTION: Final = """
Put tasks into Ferryman's queues, look at them and manage them, from any language.

Every error is an `application/problem+json` document (RFC 9457) whose `type` says what kind it is and whose `detail`
says what to do. 429 and 503 carry `Retry-After`; with an id or an `Idempotency-Key` it is always safe to send again.
A token has a scope: `read` looks, `enqueue` adds tasks, `admin` does everything.
"""

Responses = dict[int | str, dict[str, Any]]

_DESCRIPTIONS: Final = {
    400: "The body is not JSON.",
    401: "The bearer token is missing or not valid.",
    403: "The token's scope is too narrow, or this is a page of an origin that is not configured.",
    404: "There is no such thing.",
    409: "It has finished, or can't be stopped.",
    413: "The body, or the arguments of one task, are too large.",
    415: "The body does not say that it is JSON.",
    422: "Something in the request is wrong; the detail names it.",
    429: "Too many requests; try again after `Retry-After` seconds.",
    503: "Redis is away or full, or too few replicas confirmed; try again after `Retry-After` seconds.",
}

_LOOKING: Final = ("unauthorized", "insufficient-scope", "host-not-allowed", "too-many-requests", "redis-unavailable")
_CHANGING: Final = (*_LOOKING, "origin-not-allowed", "invalid-request", "not-json", "body-too-large")

_HEADERS: Final = {
    401: ("WWW-Authenticate", {"type": "string"}, "How to authenticate.", 'Bearer realm="ferryman"'),
    429: ("Retry-After", {"type": "integer"}, "Seconds to wait.", 1),
    503: ("Retry-After", {"type": "integer"}, "Seconds to wait.", 2),
}


def looking(*kinds: str) -> Responses:
    """What a route that only looks may answer besides success: these kinds of problem, and those that all may."""
    return answers(*_LOOKING, *kinds)


def changing(*kinds: str) -> Responses:
    """The same for a route that changes something or has a body."""
    return answers(*_CHANGING, *kinds)


def answers(*kinds: str) -> Responses:
    """An entry per status, with an example per kind."""
    found: Responses = {}
    for kind in kinds:
        problem = PROBLEMS[kind]
        entry = found.setdefault(problem.status, _entry(problem.status))
        entry["content"][CONTENT_TYPE]["examples"][kind] = {"value": problem.document()}
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def _entry(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemReply"}
    entry: dict[str, Any] = {
        "description": _DESCRIPTIONS[status],
        "content": {CONTENT_TYPE: {"schema": schema, "examples": {}}},
    }
    if status in _HEADERS:
        name, kind, description, example = _HEADERS[status]
        entry["headers"] = {name: {"schema": kind, "description": description, "example": example}}
    return entry


class DescribedApp(FastAPI):
    """FastAPI, whose document also has examples of answers, scopes, and the schema of problems."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema:
            return self.openapi_schema
        document = super().openapi()
        problem = ProblemReply.model_json_schema()
        document["components"]["schemas"]["ProblemReply"] = problem
        for method, path, operation in operations(document):
            operation["operationId"] = operation["operationId"].removesuffix(f"_{method.lower()}")
            if path not in OPEN_PATHS:
                scope = scope_needed(method, path)
                operation["description"] += f"\n\nScope: `{scope}`."
                for requirement in operation.get("security", ()):
                    requirement.update({name: [str(scope)] for name in requirement})
            for media in operation.get("requestBody", {}).get("content", {}).values():
                media["examples"] = _examples_of(document, media["schema"])
            for status, response in operation["responses"].items():
                if int(status) < 400:
                    _illustrate(response, document["components"]["schemas"])
        return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every (method, path, operation) of an OpenAPI document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _illustrate(response: dict[str, Any], schemas: dict[str, Any]) -> None:
    media = response.get("content", {}).get("application/json", {})
    name = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
    if name:
        media["example"] = REPLIES[name]
        response["description"] = schemas[name]["description"]


def body_schemas(schema: dict[str, Any]) -> list[str]:
    """The names of the schemas that a body may have."""
    choices = schema.get("oneOf", schema.get("anyOf", [schema]))
    return [one["$ref"].rpartition("/")[2] for one in choices if "$ref" in one]


def _examples_of(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The examples that the schemas of a body carry, by name."""
    return {
        f"{name}{number or ''}": {"value": example}
        for name in body_schemas(schema)
        for number, example in enumerate(document["components"]["schemas"][name].get("examples", ()))
    }
