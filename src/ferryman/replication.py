"""Replication: a producer may wait until so many replicas have confirmed its tasks.

Redis replicates after it has answered, so a failover can lose what was accepted last. The wait is a WAIT right behind
the enqueue, on the same connection and in the same round trip: it says how many replicas have what was written there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ferryman.call import Call
from ferryman.durations import Duration, duration_ms, format_duration
from ferryman.errors import BrokerError, BrokerUnavailable, InvalidTask, NotReplicated
from ferryman.new_task import Enqueued
from ferryman.settings import BadSetting

DEFAULT_TIMEOUT: Final = "1s"

#: A longer wait would run into the time that a link waits for a reply.
TIMEOUT_AT_MOST_MS: Final = 4_000

#: More replicas than this is taken for a mistake.
REPLICAS_AT_MOST: Final = 100


class ReplicaWait(msgspec.Struct, frozen=True):
    """How many replicas must confirm an enqueue (0 = none, and nothing is asked), and within how long."""

    replicas: int
    timeout_ms: int

    @classmethod
    def of(cls, replicas: int, timeout: Duration = DEFAULT_TIMEOUT) -> ReplicaWait:
        """Check what a person gave. Raises InvalidTask naming the option."""
        if isinstance(replicas, bool) or not isinstance(replicas, int) or not 0 <= replicas <= REPLICAS_AT_MOST:
            raise InvalidTask("wait_replicas", f"{replicas!r} is not a whole number from 0 to {REPLICAS_AT_MOST}")
        try:
            timeout_ms = duration_ms(timeout)
        except ValueError as error:
            raise InvalidTask("wait_replicas_timeout", str(error)) from None
        if not 1 <= timeout_ms <= TIMEOUT_AT_MOST_MS:
            longest = format_duration(TIMEOUT_AT_MOST_MS / 1000)
            raise InvalidTask("wait_replicas_timeout", f"{timeout!r} is not from 1ms to {longest}")
        return cls(replicas, timeout_ms)

    @classmethod
    def from_env(cls, env: Mapping[str, str], replicas: int | None = None, timeout: str | None = None) -> ReplicaWait:
        """What is given, then FERRYMAN_WAIT_REPLICAS and FERRYMAN_WAIT_REPLICAS_TIMEOUT, then no wait.

        Raises BadSetting naming the variable.
        """
        if replicas is None:
            text = env.get("FERRYMAN_WAIT_REPLICAS") or "0"
            if not text.isdecimal():
                raise BadSetting("FERRYMAN_WAIT_REPLICAS", f"{text!r} is no number of replicas")
            replicas = int(text)
        try:
            return cls.of(replicas, timeout or env.get("FERRYMAN_WAIT_REPLICAS_TIMEOUT") or DEFAULT_TIMEOUT)
        except InvalidTask as error:
            raise BadSetting(f"FERRYMAN_{error.field.upper()}", error.message) from error

    def after(self, enqueue: Call[list[Enqueued]]) -> Call[list[Enqueued]]:
        """`enqueue`, and then the wait; what is read raises NotReplicated when too few have confirmed."""
        if not self.replicas:
            return enqueue

        def read(replies: Any) -> list[Enqueued]:
            reply, confirmed = replies
            accepted = enqueue.read(reply)
            if isinstance(confirmed, BrokerUnavailable):
                raise confirmed
            if isinstance(confirmed, BrokerError):
                raise NotReplicated(accepted, 0, self.replicas, str(confirmed))
            if int(confirmed) < self.replicas:
                raise NotReplicated(accepted, int(confirmed), self.replicas)
            return accepted

        return msgspec.structs.replace(enqueue, read=read, then=("WAIT", self.replicas, self.timeout_ms))

    def rounds(self, enqueues: Sequence[Call[list[Enqueued]]]) -> list[list[Call[list[Enqueued]]]]:
        """The round trips for several enqueues: one, or two when there is a wait, which follows the last enqueue.

        A replica that has the last one has all that was written before it; so nothing may be written after it, not
        even an earlier one whose script had to be loaded anew.
        """
        if not self.replicas:
            return [list(enqueues)]
        return [list(enqueues[:-1]), [self.after(enqueues[-1])]]


#: Nobody is asked.
NO_WAIT: Final = ReplicaWait(0, 1_000)
