"""Kubectl: the only way of the crash test into a cluster, by the program, kubeconfig and context that people use.

A subprocess for each call, and every call ends: kubectl is given a limit of its own, and is killed past it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ferryman.cli.failure import CommandFailed

#: An object of Kubernetes.
Object = Mapping[str, Any]

_TIMEOUT_S: Final = 60.0
_AGAIN_S: Final = 0.5
#: What kubectl says when it could not ask, or when what it talked to went away.
_PASSING: Final = ("refused", "timeout", "timed out", "TLS handshake", "EOF", "reset by peer", "unable to upgrade")


class KubectlFailed(CommandFailed):
    """kubectl exited non-zero; the message is what it said."""


class Kubectl:
    """kubectl in one namespace. Raises CommandFailed when there is no such program."""

    def __init__(self, context: str | None = None, namespace: str = "default", program: str = "kubectl") -> None:
        path = shutil.which(program)
        if path is None:
            raise CommandFailed("kubectl is not on the PATH. Install it: https://kubernetes.io/docs/tasks/tools/")
        self._path = path
        self._context = context
        self.namespace = namespace

    def within(self, namespace: str) -> Kubectl:
        """The same cluster, another namespace."""
        return Kubectl(self._context, namespace, self._path)

    async def run(self, *words: str, stdin: str | None = None, timeout_s: float = _TIMEOUT_S) -> str:
        """What it printed. Raises KubectlFailed."""
        context = ("--context", self._context) if self._context else ()
        process = await asyncio.create_subprocess_exec(
            *(self._path, *context, "--namespace", self.namespace, *words),
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for the crash test, which then still needs kubectl to clean up
        )
        try:
            async with asyncio.timeout(timeout_s):
                out, err = await process.communicate(None if stdin is None else stdin.encode())
        except TimeoutError as error:
            raise KubectlFailed(f"kubectl {_shown(words)}: no answer within {timeout_s:g} s (timeout)") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            said = err.decode(errors="replace").strip() or f"exit code {process.returncode}"
            raise KubectlFailed(f"kubectl {_shown(words)}: {said}")
        return out.decode(errors="replace")

    async def insist(self, *words: str, within_s: float = 30.0, timeout_s: float = _TIMEOUT_S) -> str:
        """The same, asked again while the cluster itself can't be reached."""
        give_up = asyncio.get_running_loop().time() + within_s
        while True:
            try:
                return await self.run(*words, timeout_s=timeout_s)
            except KubectlFailed as error:
                passing = any(word in error.message for word in _PASSING)
                if not passing or asyncio.get_running_loop().time() > give_up:
                    raise
                await asyncio.sleep(_AGAIN_S)

    async def list(self, kinds: str, selector: str = "", *, everywhere: bool = False) -> list[dict[str, Any]]:
        """All objects of these kinds (comma-separated) with these labels, here or in every namespace."""
        scope = ["--all-namespaces"] if everywhere else []
        text = await self.insist("get", kinds, "-l", selector, "-o", "json", *scope)
        items: list[dict[str, Any]] = json.loads(text)["items"]
        return items

    async def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object, or None when there is none."""
        text = await self.insist("get", kind, name, "-o", "json", "--ignore-not-found")
        found: dict[str, Any] | None = json.loads(text) if text.strip() else None
        return found

    async def apply(self, objects: Sequence[Object]) -> None:
        """`kubectl apply -f -`."""
        await self.run("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))

    async def execute(self, pod: str, container: str, *command: str, timeout_s: float = _TIMEOUT_S) -> str:
        """Runs a command in a container; what it printed."""
        return await self.run("exec", pod, "-c", container, "--", *command, timeout_s=timeout_s)


def _shown(words: Sequence[str]) -> str:
    """Without the programs that are sent along."""
    return " ".join(word if len(word) < 80 and "\n" not in word else "…" for word in words)
