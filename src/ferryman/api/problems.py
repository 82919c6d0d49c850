"""Problems: every error of the API as RFC 9457 problem details, with a `type` to switch on and what to do in words."""

from __future__ import annotations

import http
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ferryman.errors import (
    BrokerRefused,
    BrokerUnavailable,
    FerrymanError,
    InvalidTask,
    NotReplicated,
    PayloadTooLarge,
    ProtocolMismatch,
    QueueFull,
    UnknownTask,
)

CONTENT_TYPE: Final = "application/problem+json"

_log = logging.getLogger(__name__)

# Seconds after which a client should try again. A full Redis takes longer to drain than a lost one to return.
_AWAY_S: Final = 2
_FULL_S: Final = 10


class Problem(Exception):
    """An answer that is an error. `more` are extension members, such as `nearest` or `errors`."""

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = headers
        self.more = more

    def document(self) -> dict[str, Any]:
        """The problem document."""
        return {
            "type": f"urn:ferryman:problem:{self.kind}",
            "title": self.kind.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }

    def response(self) -> Response:
        """The problem document as an answer."""
        return JSONResponse(self.document(), self.status, dict(self.headers or {}), CONTENT_TYPE)


def install(app: FastAPI) -> None:
    """Makes problems of every error that a route or the framework raises."""

    @app.exception_handler(Problem)
    async def on_problem(_: Request, problem: Problem) -> Response:
        return problem.response()

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        return _of_framework(request, error).response()

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> Response:
        return _of_validation(error.errors()).response()

    @app.exception_handler(FerrymanError)
    async def on_ferryman(request: Request, error: FerrymanError) -> Response:
        problem = of_error(error)
        if problem.status >= 500:
            _log.warning("%s %s: %s", request.method, request.url.path, error)
        return problem.response()

    @app.exception_handler(Exception)
    async def on_bug(_: Request, __: Exception) -> Response:
        # The server logs the traceback; a client learns nothing of the inside.
        return Problem(500, "internal-error", "This is a defect of the API; its log has the traceback.").response()


def of_error(error: FerrymanError) -> Problem:
    """The problem that tells a client about this error."""
    match error:
        case BrokerUnavailable():
            detail = f"{str(error).rstrip('.')}. Send it again: an enqueue with an id is safe."
            return _again(503, "redis-unavailable", detail, _AWAY_S)
        case NotReplicated():
            problem = _again(503, "not-replicated", f"{str(error).rstrip('.')}.", _AWAY_S)
            problem.more |= {"accepted": [one.id for one in error.accepted]}
            problem.more |= {"replicas": error.replicas, "wanted": error.wanted}
            return problem
        case QueueFull():
            return _again(503, "redis-full", str(error), _FULL_S)
        case UnknownTask():
            return Problem(422, "unknown-task", error.message, nearest=error.nearest)
        case PayloadTooLarge():
            return Problem(413, "arguments-too-large", error.message, limit_bytes=error.limit)
        case InvalidTask():
            return invalid("/" + error.field, error.message)
        case ProtocolMismatch():
            return Problem(500, "protocol-mismatch", str(error))
        case BrokerRefused():
            return Problem(500, "refused-by-redis", str(error))
    return Problem(500, "internal-error", str(error))


def invalid(pointer: str, message: str, **more: Any) -> Problem:
    """422 for one thing that is wrong with the request; `pointer` is a JSON pointer into its body."""
    detail = f"{pointer.removeprefix('/').replace('/', '.') or 'body'}: {message}"
    return Problem(422, "invalid-request", detail, errors=[{"pointer": pointer, "detail": message}], **more)


def _again(status: int, kind: str, detail: str, after_s: int) -> Problem:
    return Problem(status, kind, detail, headers={"Retry-After": str(after_s)})


def _of_framework(request: Request, error: HTTPException) -> Problem:
    kinds = {400: "malformed-request", 404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}
    kind = kinds.get(error.status_code) or http.HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"There is nothing at {request.url.path}; /openapi.json lists what there is."
    elif error.status_code == 405:
        # The framework names the methods of the first route that fits; a path can have several routes.
        allowed = ", ".join(sorted(_methods_at(request))) or (error.headers or {}).get("Allow", "")
        detail = f"{request.method} cannot be used at {request.url.path}; allowed: {allowed}."
        return Problem(405, kind, detail, headers={"Allow": allowed})
    return Problem(error.status_code, kind, detail, headers=error.headers)


def _methods_at(request: Request) -> set[str]:
    app: FastAPI = request.app
    return {
        method.upper()
        for template, methods in app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), request.url.path)
        for method in methods
    }


def _of_validation(errors: Sequence[Any]) -> Problem:
    found = [{"pointer": _pointer(error["loc"]), "detail": _sentence(error)} for error in errors[:20]]
    first = found[0]
    if errors[0]["type"] == "json_invalid":
        reason = errors[0].get("ctx", {}).get("error", "malformed")
        return Problem(400, "invalid-json", f"The body is not JSON: {reason}.")
    where = first["pointer"].removeprefix("/").replace("/", ".") or "body"
    return Problem(422, "invalid-request", f"{where}: {first['detail']}", errors=found)


def _sentence(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such field; /openapi.json lists those there are"
    return str(error["msg"])


def _pointer(location: Sequence[Any]) -> str:
    # The first step is where it was (body, path, query); pydantic adds the names of union members, which are ours.
    steps = [str(step) for step in location[1:] if step not in ("one", "many")]
    return "".join(f"/{step}" for step in steps)
