"""Settings from the environment, and logging set up from it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryman import logs
from ferryman.settings import BadSetting, RedisSettings


@pytest.fixture
def _root_logger() -> Iterator[None]:
    """Puts the root logger back as pytest has it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_option_wins_then_the_variable_then_the_file_then_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("redis://from-file\n")
    env = {"FERRYMAN_REDIS_URL": "redis://from-variable", "FERRYMAN_REDIS_URL_FILE": str(file)}
    assert RedisSettings.from_env(env, "redis://from-option").url == "redis://from-option"
    assert RedisSettings.from_env(env).url == "redis://from-variable"
    assert RedisSettings.from_env({"FERRYMAN_REDIS_URL_FILE": str(file)}).url == "redis://from-file"
    assert RedisSettings.from_env({}).url == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize("content", [None, " \n"])
def test_a_file_that_holds_no_url_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadSetting, match="FERRYMAN_REDIS_URL_FILE") as caught:
        RedisSettings.from_env({"FERRYMAN_REDIS_URL_FILE": str(file)})
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("redis://user:p%40ss@host:6379/1", "redis://user:***@host:6379/1"),
        ("rediss://:p@host/0", "rediss://:***@host/0"),
        ("redis://host/0", "redis://host/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, safe: str) -> None:
    assert RedisSettings(url).safe_url == safe


@pytest.mark.usefixtures("_root_logger")
def test_json_logs_are_one_object_a_line_with_the_extras() -> None:
    stream = io.StringIO()
    logs.configure("json", "INFO", stream=stream)
    try:
        raise ValueError("bad ü")
    except ValueError:
        logging.getLogger("ferryman.x").exception("task %s failed", "t1", extra={"task_id": "t1", "attempt": 2})
    logging.getLogger("ferryman.x").debug("not shown")
    [line] = stream.getvalue().splitlines()
    record = json.loads(line)
    assert {name: record[name] for name in ("level", "logger", "message", "task_id", "attempt")} == {
        "level": "error",
        "logger": "ferryman.x",
        "message": "task t1 failed",
        "task_id": "t1",
        "attempt": 2,
    }
    assert record["time"].endswith("Z")
    assert "ValueError: bad ü" in record["error"]


@pytest.mark.usefixtures("_root_logger")
def test_text_logs_put_the_extras_behind_the_message() -> None:
    stream = io.StringIO()
    logs.configure("text", "debug", stream=stream)
    logging.getLogger("ferryman.x").debug("moved %d", 3, extra={"queue": "emails"})
    assert stream.getvalue().endswith("DEBUG   ferryman.x: moved 3 queue=emails\n")


@pytest.mark.parametrize("env", [{"FERRYMAN_LOG_FORMAT": "xml"}, {"FERRYMAN_LOG_LEVEL": "LOUD"}])
def test_a_wrong_log_setting_is_named(env: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match=next(iter(env))):
        logs.configure_from_env(env)
