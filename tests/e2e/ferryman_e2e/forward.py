"""A way into the cluster that works on every cluster: `kubectl port-forward`, started again when it ends."""

import re
import subprocess
import threading
from collections import deque

from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.waiting import until

_READY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


class Forward:
    """Forwards a free local port to `target` (such as service/ferryman-api) as long as it is open."""

    def __init__(self, kubectl: Kubectl, target: str, port: int) -> None:
        self._kubectl = kubectl
        self._target = target
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=20)

    def url(self) -> str:
        """Where the target answers now. The forward ends with the pod that it went to; then it is started again."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            until(f"port-forward to {self._target}", self._start, bool, 60, every_s=1)
        ready = next(found for line in self._said if (found := _READY.search(line)))
        return f"http://127.0.0.1:{ready[1]}"

    def close(self) -> None:
        """Ends it; `url` would open it again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> bool:
        self._said.clear()
        started = threading.Event()
        process = subprocess.Popen(
            self._kubectl.command("port-forward", "--address=127.0.0.1", self._target, f":{self._port}"),
            env=self._kubectl.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(process, started), daemon=True).start()
        # Its output also ends when it gives up, a moment before the process does.
        if started.wait(timeout=20) and any(map(_READY.search, self._said)):
            self._process = process
            return True
        process.kill()
        process.wait()
        return False

    def _read(self, process: "subprocess.Popen[str]", started: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                # The first lines hold the port; the chatter of each connection must not push them out.
                if len(self._said) < 10:
                    self._said.append(line.strip())
                if _READY.search(line):
                    started.set()
        started.set()
