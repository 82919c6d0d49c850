"""kubectl, as a person would call it: everything the scenes ask of Kubernetes goes through here."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TIMEOUT_S = 120.0


class Refused(AssertionError):
    """kubectl exited non-zero; the text is what it said."""


class Kubectl:
    """Runs one kubectl against one cluster, in one namespace unless an argument names another."""

    def __init__(self, program: Path, kubeconfig: Path, namespace: str = "default") -> None:
        self._program = program
        self._kubeconfig = kubeconfig
        self.namespace = namespace

    def within(self, namespace: str) -> "Kubectl":
        """The same cluster, another namespace."""
        return Kubectl(self._program, self._kubeconfig, namespace)

    def command(self, *words: str) -> list[str]:
        """The command line, for processes that are kept running."""
        return [str(self._program), "--namespace", self.namespace, *words]

    @property
    def environment(self) -> dict[str, str]:
        """The environment for `command`."""
        return {**os.environ, "KUBECONFIG": str(self._kubeconfig)}

    def run(self, *words: str, stdin: str | None = None, timeout_s: float = _TIMEOUT_S) -> str:
        """What it printed. Raises Refused with its complaint."""
        done = subprocess.run(
            self.command(*words),
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise Refused(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object, or None when there is none."""
        text = self.run("get", kind, name, "-o", "json", "--ignore-not-found")
        found: dict[str, Any] | None = json.loads(text) if text.strip() else None
        return found

    def list(self, kinds: str, selector: str = "", *, everywhere: bool = False) -> list[dict[str, Any]]:
        """All objects of these kinds (comma-separated) with these labels, here or in every namespace."""
        scope = ["--all-namespaces"] if everywhere else []
        items: list[dict[str, Any]] = json.loads(self.run("get", kinds, "-l", selector, "-o", "json", *scope))["items"]
        return items

    def apply(self, *objects: Mapping[str, Any]) -> str:
        """Applies manifests as `kubectl apply -f -` does, with its strict validation."""
        # One document each: of a List, kubectl has the client check the fields, and not the server.
        return self.run("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))

    def scale(self, what: str, replicas: int) -> None:
        """Such as scale("deployment/ferryman-operator", 0)."""
        self.run("scale", what, f"--replicas={replicas}")

    def rollout(self, what: str, timeout_s: int = 90) -> None:
        """Waits until every replica is new and available."""
        self.run("rollout", "status", what, f"--timeout={timeout_s}s", timeout_s=timeout_s + 10)
