"""ApiProcess: `ferryman api` as its own process on a free port, to be killed and started again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PATIENCE_S = 120


class ApiProcess:
    """Serves until `stop`. `env` are its FERRYMAN_* variables; what it says goes to `log`."""

    def __init__(self, redis_url: str, directory: Path, **env: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "api.log"
        self._command = [sys.executable, "-m", "ferryman", "api", "--port", str(self.port), "--redis", redis_url]
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("FERRYMAN_")} | env
        self.start()

    def start(self) -> None:
        """Start, or start again on the same port; returns when it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._env, stdout=log, stderr=log)
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/livez", timeout=5):
                    return
            except OSError:
                assert time.monotonic() < ends_at, self.log.read_text()
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)

    def kill(self) -> None:
        """As a crash would end it."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self) -> None:
        """Orderly, and without complaint if it is gone already."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
