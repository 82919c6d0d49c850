"""What checkers see of `ferryman.testing`. Not run: checked by `mypy --strict` and by pyright, as its neighbour is."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from ferryman import Context, Queue
from ferryman.testing import Run, Tester

emails = Queue("emails")


@emails.task(timeout="30s")
async def send(ctx: Context[None], to: str, subject: str = "hi") -> None: ...


@emails.task
def resize(path: str, *, width: int = 100) -> None: ...


async def what_was_enqueued_keeps_the_handlers_parameters(ferryman: Tester) -> None:
    [mail] = ferryman.enqueued(send)
    assert_type(mail.called_with("a@example.com", subject="hi"), bool)
    mail.called_with(1)  # type: ignore[arg-type]
    mail.called_with("a@example.com", bcc="b")  # type: ignore[call-arg]
    mail.called_with()  # type: ignore[call-arg]
    [photo] = ferryman.dead(resize)
    photo.called_with("a.png", width=3)
    photo.called_with("a.png", width="3")  # type: ignore[arg-type]
    assert_type(mail.id, str)
    assert_type(await ferryman.run_until_idle(), list[Run])
    assert_type(ferryman.run_until_empty_sync(at_most=5), list[Run])


async def what_can_not_be_is_an_error(ferryman: Tester) -> None:
    ferryman.enqueued("send")
    ferryman.enqueued(7)  # type: ignore[call-overload]
    ferryman.override_deps("emails", None)  # type: ignore[arg-type]
    ferryman.advance(None)  # type: ignore[arg-type]
    with ferryman.timing_out(send):
        await send.enqueue("a@example.com")
    with ferryman.timing_out("send"):  # type: ignore[arg-type]
        pass
