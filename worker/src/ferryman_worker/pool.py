"""Pool: the slots, and the tasks that were fetched ahead for them.

Everything here is `active` in Redis under this worker. What has not started can go back at any time; what runs
goes back only when its code has stopped. Two runs never share a task: a delivery is taken off the line before
its code starts, and leaves its slot after its outcome is with the acker.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Sequence

from ferryman.protocol import Delivery
from ferryman_worker.lookahead import Lookahead
from ferryman_worker.slot import Slot


class Pool:
    """N slots. `process` runs one delivery in one slot and hands its outcome on; `progress` is called after it."""

    def __init__(
        self, size: int, process: Callable[[Slot, Delivery], Awaitable[None]], progress: Callable[[], None]
    ) -> None:
        self.size = size
        self.process = process
        self.lookahead = Lookahead(size)
        self._progress = progress
        self._ahead: deque[tuple[float, Delivery]] = deque()
        self._stopped: list[Delivery] = []
        self._closed = False
        self._resting: list[Slot] = []
        self._slots: list[Slot] = []
        #: Slots whose task has started and not ended.
        self.running = 0
        #: Tasks that have ever started.
        self.started = 0
        self._slots = [Slot(self) for _ in range(size)]

    # What the fetcher sees.

    @property
    def ahead(self) -> int:
        """Tasks that wait here for a slot."""
        return len(self._ahead)

    @property
    def free(self) -> int:
        """Slots that nothing runs in and nothing waits for."""
        return max(self.size - self.running - len(self._ahead), 0)

    @property
    def empty(self) -> bool:
        """Nothing runs and nothing waits."""
        return not self.running and not self._ahead and not self._stopped

    def room(self) -> int:
        """How many more tasks are wanted: for every free slot, and a look ahead as far as they are short."""
        return self.size - self.running - len(self._ahead) + self.lookahead.target()

    def held(self) -> Iterator[Delivery]:
        """Every delivery in the pool."""
        for slot in self._slots:
            if slot.delivery is not None:
                yield slot.delivery
        for _, delivery in self._ahead:
            yield delivery
        yield from self._stopped

    # What goes in and out.

    def put(self, deliveries: Iterable[Delivery]) -> None:
        """Tasks to be run, in this order."""
        now = time.monotonic()
        self._ahead.extend((now, delivery) for delivery in deliveries)
        self.wake_one()

    def take_stale(self, older_than_s: float) -> list[Delivery]:
        """Takes back what has waited here for so long, the longest first; 0 = all."""
        limit = time.monotonic() - older_than_s
        stale = []
        while self._ahead and self._ahead[0][0] <= limit:
            stale.append(self._ahead.popleft()[1])
        return stale

    def take_stuck(self, first: int, last: int) -> list[Delivery]:
        """Takes back what stands in line from the place `first` up to, but without, `last`; 0 is the next to start."""
        line = list(self._ahead)
        self._ahead = deque(line[:first] + line[last:])
        return [delivery for _, delivery in line[first:last]]

    def take_stopped(self) -> list[Delivery]:
        """Tasks whose code was stopped and has ended: they may go back."""
        stopped, self._stopped = self._stopped, []
        return stopped

    def stop(self) -> None:
        """Stops the code of every running task; `take_stopped` has those that have ended."""
        for slot in self._slots:
            slot.stop()

    def cancel(self, ids: Container[str], can_stop: Callable[[str], bool]) -> list[Delivery]:
        """Stops those of these that run, and can be stopped; takes back and returns those that have not started."""
        for slot in self._slots:
            running = slot.delivery
            if running is not None and running.id in ids and not slot.cancelled and can_stop(running.name):
                slot.cancel()
        found = [delivery for _, delivery in self._ahead if delivery.id in ids]
        self._ahead = deque(entry for entry in self._ahead if entry[1].id not in ids)
        return found

    async def ended(self, patience_s: float, unless: Callable[[], bool] = lambda: False) -> bool:
        """Waits until nothing runs; False when something still does after `patience_s`, or `unless` came true."""
        give_up = time.monotonic() + patience_s
        while self.running:
            if time.monotonic() > give_up or unless():
                return False
            await asyncio.sleep(0.01)
        return True

    def reopen(self) -> None:
        """After `stop`: tasks may run again."""
        for slot in self._slots:
            slot.stopping = False

    async def close(self) -> None:
        """Ends the slots. Nothing may be running."""
        self._closed = True
        for slot in self._slots:
            slot.task.cancel()
        await asyncio.gather(*(slot.task for slot in self._slots), return_exceptions=True)

    # What the slots call.

    def take(self) -> Delivery | None:
        """The next task for a slot, which has it from now on."""
        if not self._ahead:
            return None
        self.running += 1
        self.started += 1
        return self._ahead.popleft()[1]

    def left(self, slot: Slot, delivery: Delivery) -> None:
        """The slot is done with the delivery."""
        self.running -= 1
        self._progress()

    def stopped(self, delivery: Delivery) -> None:
        """The delivery's code was stopped before its end; no outcome was given."""
        self._stopped.append(delivery)

    broken = stopped

    def rest(self, slot: Slot) -> None:
        """The slot has nothing to do."""
        self._resting.append(slot)

    def wake_one(self) -> None:
        """Somebody must take what waits: called when tasks arrive, and when the slot that took them is held up."""
        while self._ahead and self._resting:
            waiter = self._resting.pop().waiter
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
                return


def pairs(deliveries: Sequence[Delivery]) -> list[tuple[str, int]]:
    """(id, token), as the protocol names a delivery."""
    return [(delivery.id, delivery.token) for delivery in deliveries]
