"""A payload is bytes to Redis: no script reads it, so none can change it."""

from __future__ import annotations

import pytest
from ferryman_bench import Bench

#: What decoding and encoding again would change: a large number, an empty list, spaces, escapes, a name twice.
ARGUMENTS = b'{"n": 12345678901234567890, "none" : [], "f":1.0, "text":"\\u00e4\xc3\xa4/", "n":2}'


async def test_arguments_arrive_byte_for_byte(bench: Bench) -> None:
    await bench.enqueue("t", args=ARGUMENTS, options=ARGUMENTS)
    await bench.register("w1", "w2")

    [first] = await bench.fetch("w1")
    await bench.run(bench.broker.requeue("w1", [("t", first.token)]))
    [second] = await bench.fetch("w1")
    await bench.run(bench.broker.retry("w1", "t", second.token, delay_ms=0, error="no"))
    await bench.run(bench.broker.promote())
    [third] = await bench.fetch("w1")
    await bench.look_until_dead("w1")
    [fourth] = await bench.fetch("w2")

    for delivery in (first, second, third, fourth):
        assert (delivery.args, delivery.options) == (ARGUMENTS, ARGUMENTS)


@pytest.mark.parametrize("payload", [b"", b"{not json", b"\xff\x00\r\n"])
async def test_a_payload_that_is_no_json_harms_no_script(bench: Bench, payload: bytes) -> None:
    """It is for the worker to say so, and for dead to keep it."""
    [held] = await bench.hold_active("w", "t", args=payload)
    assert held.args == payload
    await bench.run(bench.broker.dead_letter("w", "t", held.token, error="no JSON"))
    await bench.run(bench.broker.revive(["t"]))

    [held] = await bench.fetch("w")
    assert held.args == payload
