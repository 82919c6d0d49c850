"""Laboratory: runs the trials of a session, two at a time, and the tests that must notice once on the sound code."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ferryman_mutation import trial
from ferryman_mutation.catalogue import Mutation
from ferryman_mutation.overlay import Overlay
from ferryman_mutation.trial import Trial

#: More than one, as trials wait for servers and clocks; few, as each keeps a core busy while it imports.
AT_ONCE = min(2, os.cpu_count() or 1)


class Laboratory:
    """Starts with the first question; trials go in the order in which the session will ask for them."""

    def __init__(self, folder: Path, mutations: Sequence[Mutation]) -> None:
        self._folder = folder
        self._sound_code = Overlay.of_tree(folder / "sound")
        self._threads = ThreadPoolExecutor(AT_ONCE)
        tests = list(dict.fromkeys(test for mutation in mutations for test in mutation.noticed_by))
        self._sound = self._threads.submit(trial.run, self._sound_code, tests, None)
        self._trials: dict[str, Future[Trial]] = {
            mutation.name: self._threads.submit(self._try, mutation) for mutation in mutations
        }

    def sound(self) -> Trial:
        """All tests that must notice something, on code that nobody broke."""
        return self._sound.result()

    def of(self, mutation: Mutation) -> Trial:
        """The tests that must notice the mutation, on code with the mutation. Raises Stale."""
        return self._trials[mutation.name].result()

    def close(self) -> None:
        """Waits for trials under way; starts no more."""
        self._threads.shutdown(cancel_futures=True)

    def _try(self, mutation: Mutation) -> Trial:
        overlay = self._sound_code.mutated(self._folder / mutation.name, mutation)
        try:
            return trial.run(overlay, mutation.noticed_by, mutation.patience_s)
        finally:
            shutil.rmtree(overlay.folder)  # a hundred copies would be a burden
