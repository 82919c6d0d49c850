"""Manifest: what a worker can run, published when it registers.

Producers over HTTP and the command line check names and arguments with it, and people see which app and version knows
a task. The schedules of the code go with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ferryman.digests import sha256_of
from ferryman.errors import InvalidTask
from ferryman.limits import NO_LIMITS, Limits
from ferryman.protocol import PROTOCOL
from ferryman.schedule import Schedule, encode_schedules
from ferryman.version import __version__


class TaskManifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task that a worker can run. None leaves a setting to the queue's policy.

    Fields that a newer version adds are ignored, and those that an older one lacks have their default.
    """

    name: str
    schema: dict[str, Any] = {}  # JSON Schema of the arguments object
    max_attempts: int | None = None
    timeout_s: float | None = None
    cron: str | None = None  # its line, for people; the schedules are published beside the manifest
    app: str = ""  # the module that defines it
    version: str = ""  # of ferryman in the worker's image
    protocol: int = 0  # that this worker speaks; 0 = it did not say
    run_in: str = ""  # loop, thread or process: a thread can't be stopped
    keep_result_s: float | None = None
    expires_s: float | None = None

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, encoded: bytes | str) -> TaskManifest:
        """The inverse of encode. Raises InvalidTask when it is no such JSON object."""
        try:
            return msgspec.json.decode(encoded, type=cls)
        except (msgspec.MsgspecError, ValueError) as error:
            raise InvalidTask("manifest", f"can't be decoded: {error}") from error


class KnownVersion(msgspec.Struct, frozen=True):
    """What one version of an app says of a task. `living`: a worker of it is there; else one was of late."""

    task: TaskManifest
    living: bool


class Manifest(msgspec.Struct, frozen=True):
    """All tasks of one queue that an app's workers can run, by name."""

    app: str
    tasks: Mapping[str, TaskManifest]
    version: str = __version__
    protocol: int = PROTOCOL
    schedules: Sequence[Schedule] = ()
    limits: Limits = NO_LIMITS  # of the queue, as its code says

    def encoded(self) -> Iterator[tuple[str, bytes]]:
        """Each task's name with its JSON, in the order of the names."""
        for name in sorted(self.tasks):
            yield name, self.tasks[name].encode()

    def digest(self) -> str:
        """Of all that is published: workers with the same one can run the same tasks."""
        return sha256_of(b"".join(f"{name}\n".encode() + entry + b"\n" for name, entry in self.encoded()))[:16]

    def encoded_schedules(self) -> tuple[str, bytes]:
        """The version of the code's schedules, and these as JSON."""
        encoded = encode_schedules(list(self.schedules))
        return sha256_of(encoded)[:16], encoded


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely meant to be, or None when nothing is close."""
    from difflib import get_close_matches  # for who mistypes: a worker's start does without it

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.5)), None)
