"""Identity: which worker this process is, and whose place it took.

A worker's id is `<pod uid>.<container>.<nonce>`. It is written to the container's termination log, so that
Kubernetes' record of a dead container names exactly the worker that died in it.

A slot is a container's place, `<pod uid>.<container>`. Who holds the slot's lock proves that its predecessor
and all of that one's children are gone: they held the same lock, since it is taken before any of them is forked,
and the kernel takes it from the dead. So a restarted container may recover its predecessor's tasks at once instead
of waiting for a deadline.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import socket
import time
from pathlib import Path

from ferryman_worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

_LOCK_PATIENCE_S = 1.0
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_-]+")


class Identity:
    """Gives out worker ids, and holds the slot's lock for the life of this process."""

    def __init__(self, settings: WorkerSettings, queue: str) -> None:
        pod = settings.pod_uid or settings.pod_name or socket.gethostname()
        self._prefix = f"{_clean(pod)}.{_clean(settings.container or 'worker')}"
        self._process = f"{self._prefix}.{os.urandom(4).hex()}"
        self._given = 0
        self._termination_log = settings.termination_log if settings.pod_uid else None
        self.pod = settings.pod_name or socket.gethostname()
        #: "" when there is no pod (a developer's machine may run many workers) or another process holds the lock.
        self.slot = ""
        self._lock = -1
        if settings.pod_uid:
            self._take_slot(settings.run_dir / f"ferryman-{_clean(queue)}.{self._prefix}.lock")

    def new_worker_id(self) -> str:
        """A fresh id, written to the termination log where there is one."""
        self._given += 1
        worker = self._process if self._given == 1 else f"{self._process}-{self._given}"
        if self._termination_log is not None:
            try:
                self._termination_log.write_text(worker, encoding="ascii")
            except OSError as error:
                logger.warning("can't write the worker id to %s: %s", self._termination_log, error.strerror)
        return worker

    def is_mine(self, worker: str) -> bool:
        """Whether this process was given that id, or may yet be."""
        return worker == self._process or worker.startswith(f"{self._process}-")

    def _take_slot(self, path: Path) -> None:
        try:
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            logger.warning("no lock at %s (%s): a predecessor is recovered by its deadline only", path, error.strerror)
            return
        give_up = time.monotonic() + _LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                # The predecessor's children die a moment after it; a living process would not let go.
                if time.monotonic() > give_up:
                    logger.warning("another worker of this container holds %s: going on without a slot", path)
                    return
                time.sleep(0.02)
            else:
                self.slot = self._prefix
                return


def _clean(text: str) -> str:
    return _NOT_IN_AN_ID.sub("-", text)
