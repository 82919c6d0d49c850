"""The parts that the chart installs, stopped and started by a scene."""

from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.waiting import until

OPERATOR = "deployment/ferryman-operator"
REDIS = "statefulset/ferryman-redis"
API = "deployment/ferryman-api"


class System:
    """Ferryman's own namespace."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl

    def stop(self, what: str, component: str) -> None:
        """Scales it to zero; returns when its pods are gone."""
        self.kubectl.scale(what, 0)
        selector = f"app.kubernetes.io/component={component}"
        until(f"no {component} runs", lambda: self.kubectl.list("pods", selector), lambda pods: not pods, 60)

    def stop_operator(self) -> None:
        """No operator until `restore`."""
        self.stop(OPERATOR, "operator")

    def stop_redis(self) -> None:
        """No Redis until `start_redis`; its data stay on the volume."""
        self.stop(REDIS, "redis")

    def start_redis(self) -> None:
        """Redis with its data."""
        self.kubectl.scale(REDIS, 1)
        self.kubectl.rollout(REDIS)

    def restore(self) -> None:
        """Everything runs, whatever was stopped."""
        for what in (REDIS, OPERATOR):
            self.kubectl.scale(what, 1)
        for what in (REDIS, API, OPERATOR):
            self.kubectl.rollout(what)
