"""Redis URLs: what they may say, what they mean, and that their password is shown to nobody."""

from __future__ import annotations

import ssl

import pytest

from ferryman.redis_address import RedisAddress


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", RedisAddress()),
        ("redis://redis.acme", RedisAddress("redis.acme")),
        ("redis://redis.acme:6380/2", RedisAddress("redis.acme", 6380, db=2)),
        ("redis://redis.acme/?db=3", RedisAddress("redis.acme", db=3)),
        ("redis://:s%40fe@redis.acme/0", RedisAddress("redis.acme", password="s@fe")),
        ("redis://mail:safe@redis.acme", RedisAddress("redis.acme", username="mail", password="safe")),
        (
            "redis://redis.acme?username=mail&password=safe",
            RedisAddress("redis.acme", username="mail", password="safe"),
        ),
        ("redis://[fd00::1]:6380/1", RedisAddress("fd00::1", 6380, db=1)),
        ("rediss://redis.acme", RedisAddress("redis.acme", tls={})),
        ("rediss://redis.acme?ssl_cert_reqs=none", RedisAddress("redis.acme", tls={"ssl_cert_reqs": "none"})),
        ("unix:///run/redis.sock", RedisAddress(path="/run/redis.sock")),
        ("unix://:safe@/run/redis.sock?db=1", RedisAddress(path="/run/redis.sock", db=1, password="safe")),
    ],
)
def test_a_url_says_where_the_server_is_and_how_one_gets_in(url: str, address: RedisAddress) -> None:
    assert RedisAddress.from_url(url) == address


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost:6379", "must begin with redis://, rediss:// or unix://"),
        ("http://redis.acme", "must begin with redis://, rediss:// or unix://"),
        ("redis://redis.acme/first", "the database 'first', which is no number"),
        ("redis://redis.acme?timeout=5", "option 'timeout'; it may have db, username"),
        ("redis://redis.acme:many", "Port could not be cast"),
    ],
)
def test_what_is_no_redis_url_is_refused_with_what_is_wrong(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        RedisAddress.from_url(url)


def test_an_address_is_shown_without_credentials() -> None:
    one = RedisAddress.from_url("rediss://user:secret@example.test:6380/2")
    assert str(one) == "example.test:6380/2"
    assert "secret" not in repr(one)
    assert str(RedisAddress.from_url("unix:///run/redis.sock")) == "/run/redis.sock"


def test_a_connection_begins_with_credentials_name_and_database() -> None:
    full = RedisAddress.from_url("redis://mail:safe@redis.acme/2")
    assert full.greeting("worker") == [("AUTH", "mail", "safe"), ("CLIENT", "SETNAME", "worker"), ("SELECT", "2")]
    assert RedisAddress.from_url("redis://:safe@redis.acme").greeting(None) == [("AUTH", "safe")]
    assert RedisAddress().greeting(None) == []


@pytest.mark.parametrize(
    ("options", "mode", "checks_name"),
    [
        ("", ssl.CERT_REQUIRED, True),
        ("?ssl_check_hostname=false", ssl.CERT_REQUIRED, False),
        ("?ssl_cert_reqs=optional&ssl_check_hostname=0", ssl.CERT_OPTIONAL, False),
        ("?ssl_cert_reqs=none", ssl.CERT_NONE, False),
    ],
)
def test_certificates_are_checked_as_the_url_says(options: str, mode: ssl.VerifyMode, checks_name: bool) -> None:
    context = RedisAddress.from_url(f"rediss://redis.acme{options}").ssl_context()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (mode, checks_name)
    assert RedisAddress.from_url("redis://redis.acme").ssl_context() is None


def test_an_unknown_way_to_check_certificates_is_refused() -> None:
    with pytest.raises(ValueError, match="ssl_cert_reqs is 'maybe'; it must be none, optional or required"):
        RedisAddress.from_url("rediss://redis.acme?ssl_cert_reqs=maybe").ssl_context()
