"""What a person sees of `ferryman top`, as text, and how a test waits until it is there."""

from __future__ import annotations

import asyncio

import pytest
from textual.widgets import Label

from ferryman.dev.top.app import TopApp


def screen_text(top: TopApp) -> str:
    """The lines of the screen, without the blanks at their ends."""
    lines = top.screen._compositor.render_strips()
    return "\n".join(line.text.rstrip() for line in lines) + "\n"


def line(top: TopApp, name: str) -> str:
    """One of the app's own lines: head, notice, about, tabs."""
    return str(top.screen_stack[0].query_one(f"#{name}", Label).render())


async def until_shown(top: TopApp, *texts: str, patience_s: float = 20) -> str:
    """Waits until all of `texts` are on the screen; returns the screen."""
    try:
        async with asyncio.timeout(patience_s):
            while not all(text in screen_text(top) for text in texts):
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"{texts} not on the screen:\n{screen_text(top)}")
    return screen_text(top)


async def settled(top: TopApp) -> None:
    """Waits until the actions that keys began have ended, and what they changed has been read."""
    while acting := [worker for worker in top.workers if worker.group == "act" and not worker.is_finished]:
        await top.workers.wait_for_complete(acting)
