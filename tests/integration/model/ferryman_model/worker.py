"""SimulatedWorker: one tenure of one worker process, as ferryman_worker lives it, one command at a time.

Between any two commands it may stop for ever, sleep past its promise, or lose a reply. What it does then is what the
real fetcher, acker and registrar do: outcomes go out again with the same token, a fetch whose reply was lost makes it
compare lists, an answer "unregistered" makes it drop everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ferryman.protocol import Delivery, ExitReply, Fetched, Outcomes
from ferryman_model.book import Book
from ferryman_model.command import Command, Fate, Network
from ferryman_model.exit_commands import ExitCommands
from ferryman_model.outcome import End, Outcome
from ferryman_model.scheduler_commands import SchedulerCommands
from ferryman_model.worker_commands import TIMEOUT_MS, Held, WorkerCommands


class SimulatedWorker:
    """What one process knows. `slot` is empty where no lock can be had."""

    def __init__(self, id: str, slot: str, book: Book, network: Network, queue: str) -> None:
        self.id = id
        self.slot = slot
        self.joined = False
        self.quiet = False  # fetches no more
        self.disowned = False  # was told that it was declared dead
        self._looked = not slot  # knows whether its slot has a predecessor
        self.predecessor: str | None = None  # to be declared dead and recovered before it registers
        self.promised_ms = 0
        self.handed: str | None = None
        self.ahead: list[Delivery] = []
        self.suspect: Delivery | None = None
        self.outbox: list[Outcome] = []
        self.compares = False
        self._differed = False
        self._book = book
        self._network = network
        self._say = WorkerCommands(book, queue)
        self._exits = ExitCommands(book, queue)
        self._recover = SchedulerCommands(book, queue).recover

    @property
    def serves(self) -> bool:
        """Has joined, and its predecessor was recovered before."""
        return self.joined and not self.disowned

    @property
    def may_fetch(self) -> bool:
        return self.serves and not self.quiet and self.suspect is None

    @property
    def startable(self) -> list[Delivery]:
        """A suspect waits until nothing else is here, not even an outcome on its way."""
        if self.suspect and not self.ahead and not self.outbox:
            return [self.suspect]
        return self.ahead

    @property
    def settled(self) -> bool:
        """Nothing is left to say but goodbye."""
        return self.disowned or (self.quiet and self.joined and not (self.compares or list(self._known())))

    def join(self, limit: int, fate: Fate) -> None:
        """The next step towards its registration. Until a step is answered it says the same again."""
        if not self._looked:
            if replies := self._send([self._say.in_slot(self.slot)], fate):
                self._looked, self.predecessor = True, replies[0]
        elif self.predecessor:
            self._take_over(self.predecessor, limit, fate)
        else:
            sent_ms = self._book.clock.now_ms
            if replies := self._send([self._say.register(self.id, self.slot)], fate):
                self._looked = self.joined = replies[0].holder is None
                self.promised_ms = sent_ms + TIMEOUT_MS

    def _take_over(self, predecessor: str, limit: int, fate: Fate) -> None:
        """The last worker of its slot is dead for certain."""
        declared = self._send([self._say.declare_dead(predecessor)], fate)
        if declared is not None and (not declared[0] or self._has_recovered(predecessor, limit, fate)):
            self.predecessor = None

    def _has_recovered(self, predecessor: str, limit: int, fate: Fate) -> bool:
        replies = self._send([self._recover(predecessor, limit)], fate)
        return replies is not None and not replies[0].left

    def listen(self, fate: Fate) -> None:
        """BLMOVE."""
        if replies := self._send([self._say.listen()], fate):
            self.handed = replies[0]

    def exchange(self, limit: int, fate: Fate) -> None:
        """One round trip: outcomes out, tasks in; or its list, when it doubts what it holds."""
        # See Network: an exit does not outlive its task.
        self.outbox = [outcome for outcome in self.outbox if self._book.lives(outcome.id, outcome.life)]
        commands = [*self._exits.of(self.id, self.outbox)]
        compares, fetches = self.compares, bool(limit) and not self.compares
        if compares:
            commands.append(self._say.holding(self.id))
        elif fetches:
            commands.append(self._say.fetch(self.id, limit, self.handed))
            self.handed = None
        replies = self._send(commands, fate)
        if replies is None:
            self.compares = compares or fetches
            return
        self.outbox, self.compares = [], False
        if any(_disowns(reply) for reply in replies):
            self._drop_everything()
        elif compares:
            known = set(self._known())
            for id, token in replies[-1]:
                if (id, token) not in known:
                    self.outbox.append(Outcome(id, token, self._book.records[id].life, None))
        elif fetches:
            self._accept(replies[-1])

    def end(self, delivery: Delivery, how: End) -> None:
        """The handler of what it holds ends, or it turns out that there is none."""
        if how not in (End.PARK, End.CRASH):
            self._book.ran(delivery)
        self._leaves(delivery, how)

    def give_back(self) -> None:
        """What has not run goes back, or was stopped and goes back."""
        for delivery in [*self.ahead, *([self.suspect] if self.suspect else [])]:
            self._leaves(delivery, None)

    def stop(self) -> None:
        """SIGTERM, or its promise has run out without a beat."""
        self.quiet = True
        self.give_back()

    def beat(self, fate: Fate) -> None:
        """From its child process, whatever the rest is doing."""
        sent_ms = self._book.clock.now_ms
        if not (replies := self._send([self._say.beat(self.id)], fate)):
            return
        [reply] = replies
        if not reply.registered:
            self._drop_everything()
            return
        self.promised_ms = sent_ms + TIMEOUT_MS
        differs = reply.active != len(list(self._known()))
        self.compares = self.compares or (differs and self._differed)
        self._differed = differs

    def leave(self, fate: Fate) -> None:
        """Its last words."""
        self._send([self._say.unregister(self.id)], fate)

    def _send(self, commands: list[Command], fate: Fate) -> list[Any] | None:
        return self._network.send(self.id, commands, fate)

    def _accept(self, fetched: Fetched) -> None:
        if fetched.reply == "alone" and not list(self._known()):
            self.compares = True
        for delivery in fetched.tasks:
            if delivery.suspect:
                self.suspect = delivery
            else:
                self.ahead.append(delivery)

    def _known(self) -> Iterator[Held]:
        yield from ((d.id, d.token) for d in self.ahead)
        if self.suspect:
            yield self.suspect.id, self.suspect.token
        yield from ((outcome.id, outcome.token) for outcome in self.outbox)

    def _leaves(self, delivery: Delivery, end: End | None) -> None:
        self.outbox.append(Outcome(delivery.id, delivery.token, delivery.args, end))
        if delivery is self.suspect:
            self.suspect = None
        else:
            self.ahead.remove(delivery)

    def _drop_everything(self) -> None:
        self.ahead, self.suspect, self.outbox = [], None, []
        self.quiet = self.disowned = True


def _disowns(reply: Any) -> bool:
    match reply:
        case Outcomes(reply=ExitReply.UNREGISTERED) | ExitReply.UNREGISTERED | Fetched(reply="unregistered"):
            return True
    return False
