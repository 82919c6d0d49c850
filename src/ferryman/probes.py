"""Probes: the little HTTP that worker, scheduler and operator speak for /livez, /readyz and /metrics.

What the answers are is decided by each of them. `serve` answers on the event loop that it speaks for, so that a
blocked loop does not answer at all; metrics are made in a thread, since long ones must not stop the loop. The worker's
beat child encodes its answers itself, in threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

#: Status, content type and body.
Response = tuple[int, str, bytes]

#: A request's head may be this long, and take this long to arrive (seconds).
MAX_REQUEST_BYTES: Final = 8192
_PATIENCE_S: Final = 5.0
_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


def respond(head: bytes, answer: Callable[[str], Response]) -> bytes:
    """All that is sent back for a request with this head. `answer` is asked for the path, without its query.

    Raises ValueError when `head` is no HTTP.
    """
    method, target, *_ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    is_read = method in ("GET", "HEAD")
    status, content_type, body = answer(target.partition("?")[0]) if is_read else (405, "text/plain", b"GET only\n")
    lines = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else body)


async def serve(answer: Callable[[str], Response], port: int, host: str | None = None) -> asyncio.Server:
    """Listen on `host`, or on all addresses; the caller closes the server. Raises OSError when the port is taken."""
    import asyncio  # who serves has a loop; the worker's beat child has none, and does without

    one_at_a_time = asyncio.Lock()

    async def answered(head: bytes) -> bytes:
        if b" /metrics" not in head.partition(b"\r\n")[0]:
            return respond(head, answer)
        async with one_at_a_time:
            return await asyncio.to_thread(respond, head, answer)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                writer.write(await answered(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that speaks no HTTP, or went away
        finally:
            writer.close()

    return await asyncio.start_server(converse, host, port, limit=MAX_REQUEST_BYTES)
