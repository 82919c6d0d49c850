"""Bearer tokens: which are accepted, what each scope may do, and that no log names one."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis
from ferryman_yard.api_app import TASK, problem_of, serve

from ferryman.api.app import create_app
from ferryman.api.settings import ApiSettings
from ferryman.api.tokens import Scope, Tokens
from ferryman.link import Link
from ferryman.settings import BadSetting

REQUESTS = {
    Scope.READ: [
        *(("GET", "/queues"), ("GET", "/queues/emails"), ("GET", "/queues/emails/tasks"), ("GET", "/tasks/emails/t1")),
        ("GET", "/queues/emails/reset"),
    ],
    Scope.ENQUEUE: [("POST", "/tasks")],
    Scope.ADMIN: [
        *(("POST", f"/queues/emails/{verb}") for verb in ("hold", "resume", "revive", "reset")),
        *(("DELETE", "/tasks/emails/t1"), ("PUT", "/tasks"), ("PATCH", "/queues/emails"), ("OPTIONS", "/tasks")),
    ],
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """A token file per scope; `both` is a token that stands in two."""
    for scope in Scope:
        (tmp_path / scope).write_text(f"{scope}-token\n")
    for scope in (Scope.READ, Scope.ENQUEUE):
        with (tmp_path / scope).open("a") as file:
            file.write("both-token\n")
    return {
        "token_file": tmp_path / "admin",
        "enqueue_token_file": tmp_path / "enqueue",
        "read_token_file": tmp_path / "read",
    }


async def test_every_route_but_the_open_ones_asks_for_the_token() -> None:
    async with serve(token="right") as client:
        for method, path in [("POST", "/tasks"), ("GET", "/queues"), ("POST", "/queues/q/reset"), ("GET", "/nowhere")]:
            refused = await client.request(method, path, headers={"Authorization": "Bearer wrong"})
            assert (refused.status_code, problem_of(refused)) == (401, "unauthorized")
            assert refused.headers["www-authenticate"].startswith("Bearer")
        assert problem_of(await client.get("/queues")) == "unauthorized"
        assert problem_of(await client.get("/queues", headers={"Authorization": "Basic right"})) == "unauthorized"
        for path in ("/livez", "/readyz", "/metrics", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/docs")).status_code == 200
        accepted = await client.get("/queues", headers={"Authorization": "bearer right"})
        assert accepted.status_code == 200


async def test_an_empty_token_is_never_right(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("right")
    async with serve(token_file=file) as client:
        file.write_text("\n")
        for header in ("Bearer", "Bearer ", "Bearer right"):
            assert (await client.get("/queues", headers={"Authorization": header})).status_code == 401


async def test_the_token_file_is_read_again_and_may_hold_two_tokens(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")

    async def status(token: str) -> int:
        return (await client.get("/queues", headers={"Authorization": f"Bearer {token}"})).status_code

    async with serve(token_file=file) as client:
        assert [await status(token) for token in ("old", "new")] == [200, 401]
        (tmp_path / "next").write_text("old\nnew\n")
        os.replace(tmp_path / "next", file)
        assert [await status(token) for token in ("old", "new")] == [200, 200]
        (tmp_path / "next").write_text("new\n")
        os.replace(tmp_path / "next", file)
        assert [await status(token) for token in ("old", "new")] == [401, 200]
        file.unlink()
        assert await status("new") == 200, "a look between two files must not lock everybody out"


@pytest.mark.parametrize("content", [None, "\n"])
def test_a_token_file_without_a_token_is_refused_at_the_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadSetting, match="FERRYMAN_API_TOKEN_FILE"):
        create_app(ApiSettings(token_file=file), lambda: Link(FakeAsyncRedis())).build_middleware_stack()


@pytest.mark.parametrize(
    ("holder", "scopes"),
    [
        ("read", {Scope.READ}),
        ("enqueue", {Scope.ENQUEUE}),
        ("both", {Scope.READ, Scope.ENQUEUE}),
        ("admin", set(Scope)),
    ],
)
async def test_a_token_may_do_what_its_scope_says_and_no_more(
    files: dict[str, Any], holder: str, scopes: set[Scope]
) -> None:
    async with serve(**files) as client:
        client.headers["Authorization"] = f"Bearer {holder}-token"
        for needed, requests in REQUESTS.items():
            for method, path in requests:
                answer = await client.request(method, path, json=TASK if method == "POST" else None)
                if needed in scopes:
                    assert answer.status_code not in (401, 403), (method, path, answer.text)
                    continue
                assert (answer.status_code, problem_of(answer)) == (403, "insufficient-scope"), (method, path)
                assert f"scope {needed}" in answer.json()["detail"]
                assert (answer.json()["needed"], set(answer.json()["held"])) == (needed, scopes)
                assert f'error="insufficient_scope", scope="{needed}"' in answer.headers["www-authenticate"]


async def test_a_refused_token_is_told_before_its_body_is_read(files: dict[str, Any]) -> None:
    async with serve(**files) as client:
        refused = await client.post("/tasks", content=b"{", headers={"Authorization": "Bearer read-token"})
        assert refused.status_code == 403


async def test_openapi_names_the_scope_that_is_really_needed(files: dict[str, Any]) -> None:
    async with serve(**files) as client:
        document = (await client.get("/openapi.json")).json()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if path in ("/livez", "/readyz", "/metrics"):
                    assert "security" not in operation
                    continue
                ((needed,),) = operation["security"][0].values()
                assert f"Scope: `{needed}`." in operation["description"]
                for scope in (Scope.READ, Scope.ENQUEUE):
                    real = path.format(queue="emails", id="t1")
                    answer = await client.request(method, real, headers={"Authorization": f"Bearer {scope}-token"})
                    assert (answer.status_code == 403) is (scope != needed), (method, path, scope)


def test_narrow_tokens_alone_are_tokens_too(files: dict[str, Any]) -> None:
    env = {"FERRYMAN_API_READ_TOKEN_FILE": str(files["read_token_file"])}
    settings = ApiSettings.from_env(env, host="0.0.0.0")
    assert settings.has_token
    assert Tokens(settings).scopes(b"read-token") == {Scope.READ}
    assert Tokens(settings).scopes(b"") == frozenset()
    assert Tokens(ApiSettings()).scopes(b"") == frozenset()
    with pytest.raises(BadSetting, match="FERRYMAN_API_ENQUEUE_TOKEN_FILE"):
        Tokens(ApiSettings(enqueue_token_file=files["token_file"].with_name("nowhere")))


async def test_no_token_is_logged(files: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve(**files) as client:
        for token in ("read-token", "wrong-token", "new-token"):
            await client.get("/queues", headers={"Authorization": f"Bearer {token}"})
            files["read_token_file"].write_text("new-token\n")
        files["read_token_file"].unlink()
        await client.get("/queues", headers={"Authorization": "Bearer new-token"})
    assert "1 tokens in it are accepted now" in caplog.text, "or nothing was logged at all"
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("ferryman", "uvicorn"))]
    assert ours
    assert not [line for line in ours if any(token in line for token in ("read-token", "wrong-token", "new-token"))]
