"""Every number of workers that a Deployment ever asked for, with the moment at which it was seen."""

import itertools
import subprocess
import threading
import time
from dataclasses import dataclass

from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.waiting import until


@dataclass(frozen=True, slots=True)
class Seen:
    """So many replicas were asked for since then (monotonic)."""

    at_s: float
    replicas: int


class ReplicaLog:
    """Watches one Deployment until it is closed."""

    def __init__(self, kubectl: Kubectl, deployment: str) -> None:
        self._process = subprocess.Popen(
            kubectl.command("get", "deployment", deployment, "--watch", "-o", r'jsonpath={.spec.replicas}{"\n"}'),
            env=kubectl.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.seen: list[Seen] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        until(f"a watch on {deployment}", lambda: self.seen, bool, 20)

    def close(self) -> None:
        """Ends the watch."""
        self._process.kill()
        self._process.wait()
        self._thread.join(timeout=10)

    def since(self, at_s: float) -> list[Seen]:
        """The changes since that moment (monotonic)."""
        return [one for one in self.seen if one.at_s >= at_s]

    def steps(self) -> list[int]:
        """All numbers in order."""
        return [one.replicas for one in self.seen]

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                replicas = int(line)
                if not self.seen or self.seen[-1].replicas != replicas:
                    self.seen.append(Seen(time.monotonic(), replicas))


def turns(steps: list[int]) -> int:
    """How often the number went down and then up again, or the other way round."""
    ups = [after > before for before, after in itertools.pairwise(steps)]
    return sum(one != next_one for one, next_one in itertools.pairwise(ups))
