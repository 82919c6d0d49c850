"""The page at /docs: every route with its parameters, a curl to copy, and each answer with an example.

Plain HTML with its own style: it asks no other host for anything.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any, Final

from ferryman.api.description import body_schemas, operations

#: Nothing may be loaded or run; the style in the page is the one exception.
SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 13px/1.4 ui-monospace, monospace }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #8881; padding: .6rem; border-radius: 4px }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #8883 }
details { border: 1px solid #8884; border-radius: 4px; margin: .5rem 0; padding: .4rem .8rem }
summary { cursor: pointer } details details { border: 0; margin: 0; padding: 0 }
"""


def page_of(document: dict[str, Any]) -> str:
    """The page for an OpenAPI document."""
    info = document["info"]
    parts = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>{_prose(info['description'])}",
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>',
    ]
    group = ""
    for method, path, operation in operations(document):
        if (tag := operation["tags"][0]) != group:
            group = tag
            parts.append(f"<h2>{escape(tag.capitalize())}</h2>")
        parts.append(_operation(method, path, operation, document["components"]["schemas"]))
    head = f'<meta charset="utf-8"><title>{escape(info["title"])}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    bodies = operation.get("requestBody", {}).get("content", {}).values()
    examples = [one["value"] for media in bodies for one in media["examples"].values()]
    fields = "".join(_fields(schemas[name]) for media in bodies for name in body_schemas(media["schema"]))
    answers = "".join(_answer(status, answer) for status, answer in operation["responses"].items())
    return (
        f"<details><summary><code>{method} {escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"{_prose(operation['description'])}{_parameters(operation.get('parameters', []))}{fields}"
        f"{''.join(_curl(method, path, operation, body) for body in examples or [None])}"
        f"<table><tr><th>Status<th>Answer</tr>{answers}</table></details>"
    )


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = [
        f"<tr><td><code>{escape(one['name'])}</code><td>{one['in']}<td>{_code(one.get('description', ''))}"
        f"<td><code>{escape(str(one['schema'].get('examples', [''])[0]))}</code></tr>"
        for one in parameters
    ]
    return f"<table><tr><th>Parameter<th>In<th>What<th>Example</tr>{''.join(rows)}</table>" if rows else ""


def _fields(schema: dict[str, Any]) -> str:
    rows = [
        f"<tr><td><code>{escape(name)}</code><td>{'yes' if name in schema.get('required', ()) else ''}"
        f"<td>{_code(field.get('description', ''))}</tr>"
        for name, field in schema["properties"].items()
    ]
    return f"{_prose(schema['description'])}<table><tr><th>Field<th>Needed<th>What</tr>{''.join(rows)}</table>"


def _curl(method: str, path: str, operation: dict[str, Any], body: Any) -> str:
    for parameter in operation.get("parameters", []):
        path = path.replace(f"{{{parameter['name']}}}", str(parameter["schema"]["examples"][0]))
    words = ["curl", f"http://127.0.0.1:8000{path}"]
    if method == "DELETE" or (method == "POST" and body is None):
        words += ["-X", method]
    if operation.get("security"):
        words += ["-H", '"Authorization: Bearer $TOKEN"']
    if body is not None:
        words += ["-H", "'Content-Type: application/json'", "-d", f"'{json.dumps(body)}'"]
    return f"<pre>{escape(' '.join(words))}</pre>"


def _answer(status: str, answer: dict[str, Any]) -> str:
    shown = ""
    for media in answer.get("content", {}).values():
        values = [media["example"]] if "example" in media else [one["value"] for one in media["examples"].values()]
        text = "\n".join(
            one if isinstance(one, str) else json.dumps(one, indent=2, ensure_ascii=False) for one in values
        )
        shown = f"<details><summary>example</summary><pre>{escape(text)}</pre></details>"
    return f"<tr><td>{escape(status)}<td>{_code(answer['description'])}{shown}</tr>"


def _prose(text: str) -> str:
    return "".join(f"<p>{_code(paragraph)}</p>" for paragraph in text.strip().split("\n\n"))


def _code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
