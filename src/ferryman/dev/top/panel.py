"""The control panel: keys that act on the chosen queue, one action after the other."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import ClassVar, Literal

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType

from ferryman.dev.top import actions
from ferryman.dev.top.confirm import Confirm
from ferryman.errors import FerrymanError
from ferryman.inspector import Inspector
from ferryman.link import Link

#: What to do to a queue; returns what to tell the person, "" = nothing.
Action = Callable[[str], Awaitable[str]]


class ControlPanel(App[None]):
    """The keys; the screen that has them says which queue is meant, and shows what comes of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("5", "add", "Add 5 tasks"),
        Binding("d", "add_delayed", "Add one in 10 s"),
        Binding("h", "hold", "Hold/resume"),
        Binding("v", "revive", "Revive"),
        Binding("r", "reset", "Reset"),
        Binding("x", "crash", "Crash a worker"),
    ]
    link: Link

    def __init__(self) -> None:
        # The terminal's own colours: they are right on a dark and on a light one, and NO_COLOR leaves none of them.
        super().__init__(ansi_color=True)
        self._acting = asyncio.Lock()

    @property
    @abstractmethod
    def chosen(self) -> str | None:
        """The queue that a key works on."""

    @property
    @abstractmethod
    def chosen_task(self) -> str | None:
        """The dead task that `v` works on; None = all of the queue."""

    @abstractmethod
    async def refresh_figures(self) -> bool:
        """Shows what has changed."""

    @abstractmethod
    def tell(self, text: str) -> None:
        """How far an action has come; "" = it has ended."""

    def action_add(self) -> None:
        """Five tasks into the chosen queue."""
        self._act(lambda queue: actions.add(self.link, queue, 5))

    def action_add_delayed(self) -> None:
        """One task that starts in ten seconds."""
        self._act(lambda queue: actions.add(self.link, queue, 1, delay="10s"))

    def action_hold(self) -> None:
        """Holds or resumes the chosen queue."""
        self._act(lambda queue: actions.toggle_hold(self.link, queue))

    def action_revive(self) -> None:
        """The chosen dead task back to waiting; from the list of queues all of them, after asking."""
        if task_id := self.chosen_task:
            self._act(lambda queue: actions.revive_one(self.link, queue, task_id))
        else:
            self._act(self._revive_everything)

    def action_reset(self) -> None:
        """Discards what waits in the chosen queue, after asking."""
        self._act(self._reset)

    def action_crash(self) -> None:
        """Kills a worker on purpose, after asking."""
        self._act(self._crash)

    async def _revive_everything(self, queue: str) -> str:
        dead = (await self.link.run(Inspector(queue).stats())).dead
        if not dead:
            return f"{queue} has no dead tasks"
        if not await self.push_screen_wait(Confirm(f"Revive all {dead:,} dead tasks of {queue}?")):
            return ""
        return await actions.revive_everything(self.link, queue, self.tell)

    async def _reset(self, queue: str) -> str:
        stats = await self.link.run(Inspector(queue).stats())
        if not await self.push_screen_wait(Confirm(actions.what_reset_discards(stats))):
            return ""
        return await actions.reset(self.link, queue, self.tell)

    async def _crash(self, queue: str) -> str:
        question = f"Crash a worker of {queue}?\n\nWhat it runs starts again elsewhere, from the beginning."
        if not await self.push_screen_wait(Confirm(question)):
            return ""
        return await actions.crash_a_worker(self.link, queue)

    @work(group="act")
    async def _act(self, action: Action) -> None:
        if (queue := self.chosen) is None:
            self.notify("There is no queue yet; `ferryman enqueue` makes one.", severity="warning", markup=False)
            return
        await self.carry_out(queue, action)

    async def carry_out(self, queue: str, action: Action) -> None:
        """Runs one action after the other, and says what came of it."""
        async with self._acting:
            severity: Literal["information", "error"] = "information"
            try:
                said = await action(queue)
            except FerrymanError as error:
                said, severity = str(error), "error"
            self.tell("")
        if said:
            self.notify(said, severity=severity, markup=False)
        await self.refresh_figures()
