"""A container's first process that is told to end while it still starts: the kernel would keep the signal from it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

#: As process 1, but for the kernel: only there the signal would be lost.
_AS_FIRST = "import os\nos.getpid = lambda: 1\n"
_PATIENCE_S = 60


def ended_while_it_starts(program: str, told: Path, *words: str) -> int:
    """The exit code of a program that gets a SIGTERM as soon as the file `told` is there."""
    process = subprocess.Popen([sys.executable, "-c", program, *words], stderr=subprocess.DEVNULL)
    give_up_s = time.monotonic() + _PATIENCE_S
    while not told.exists() and time.monotonic() < give_up_s:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    return process.wait(_PATIENCE_S)


def told_while_it_imports(tmp_path: Path, who: str) -> int:
    """The exit code of a worker whose app takes its time."""
    told, app = tmp_path / "importing", tmp_path / "app.py"
    app.write_text(f"from pathlib import Path\nimport time\nPath({str(told)!r}).touch()\ntime.sleep(600)\n")
    program = f"{who}from ferryman.cli.main import main\nmain()\n"
    words = ("worker", "emails", "--app", str(app), "--redis", "redis://127.0.0.1:1/0")
    return ended_while_it_starts(program, told, *words)


def test_a_first_process_that_still_imports_its_app_ends_when_it_is_told_to(tmp_path: Path) -> None:
    assert told_while_it_imports(tmp_path, _AS_FIRST) == 128 + signal.SIGTERM


def test_any_other_process_ends_as_the_kernel_has_it(tmp_path: Path) -> None:
    assert told_while_it_imports(tmp_path, "") == -signal.SIGTERM


def test_whoever_has_a_way_to_stop_keeps_it(tmp_path: Path) -> None:
    told = tmp_path / "ready"
    program = (
        f"{_AS_FIRST}import signal, sys, time\nfrom pathlib import Path\n"
        "from ferryman.first_process import end_when_told\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\nend_when_told()\n"
        f"Path({str(told)!r}).touch()\ntime.sleep(600)\n"
    )
    assert ended_while_it_starts(program, told) == 7
