"""What the operator exports, as Prometheus would read it."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ferryman_e2e.forward import Forward
from ferryman_e2e.waiting import until


class OperatorMetrics:
    """Reads /metrics of the operator's pod."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward

    def value(self, sample: str, queue: str, **labels: str) -> float | None:
        """The value of this sample of a queue, or None when there is none."""
        for family in text_string_to_metric_families(self._text()):
            for one in family.samples:
                if one.name == sample and one.labels.get("queue") == queue and labels.items() <= one.labels.items():
                    return one.value
        return None

    def interrupted(self, queue: str) -> float:
        """Tasks that scaling down or a rollout interrupted."""
        sample = "ferryman_scale_down_interrupted_total"
        found = until(f"{sample} of {queue}", lambda: self.value(sample, queue), lambda v: v is not None, 10)
        assert found is not None
        return found

    def close(self) -> None:
        """Ends the forward."""
        self._forward.close()

    def _text(self) -> str:
        def read() -> str:
            try:
                return httpx.get(self._forward.url() + "/metrics", timeout=10, trust_env=False).text
            except httpx.TransportError:
                self._forward.close()  # it went with the operator's pod
                return ""

        return until("the operator's metrics", read, bool, 30)
