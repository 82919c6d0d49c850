"""What to look at when a scene failed: collected at once, before the scene's namespace is removed."""

from collections.abc import Callable

from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.scene_queue import SYSTEM

_LINES = "--tail=30"
_WIDTH = 500


def collect(kubectl: Kubectl) -> str:
    """The namespace's queues, pods, events and logs, and the operator's and the API's log, as one text."""
    everywhere = ("--all-containers", "--prefix", "--ignore-errors", _LINES)
    component = "app.kubernetes.io/component="
    system = kubectl.within(SYSTEM)
    looks: list[tuple[Kubectl, tuple[str, ...]]] = [
        (kubectl, ("get", "taskqueues", "-o", "wide")),
        (kubectl, ("describe", "taskqueues")),
        (kubectl, ("get", "deployments,cronjobs,jobs,pods", "-o", "wide")),
        (kubectl, ("get", "events", "--sort-by=.lastTimestamp")),
        (kubectl, ("logs", "-l", component + "worker", *everywhere)),
        (kubectl, ("logs", "-l", component + "scheduler", *everywhere)),
        (kubectl, ("logs", "-l", component + "recovery", *everywhere)),
        (system, ("get", "pods", "-o", "wide")),
        (system, ("logs", "deployment/ferryman-operator", _LINES)),
        (system, ("logs", "deployment/ferryman-api", "--tail=20")),
    ]
    return "\n".join(f"$ kubectl {' '.join(words)}\n{_text(where.run, words)}" for where, words in looks)


def _text(run: Callable[..., str], words: tuple[str, ...]) -> str:
    try:
        return "".join(line[:_WIDTH] + "\n" for line in run(*words).splitlines())
    except Exception as error:  # every look is worth having, whatever happens to the others
        return f"({error})\n"
