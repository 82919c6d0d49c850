"""Every metric that Ferryman exports, taken from the text that its programs give Prometheus."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from ferryman_metrics.exercise import texts


@dataclass(frozen=True, slots=True)
class Exported:
    """One metric, by the name under which it is asked for (a histogram without `_bucket`).

    `labels` holds the values that were seen of each label; `buckets` a histogram's upper bounds, without +Inf.
    """

    name: str
    type: str
    help: str
    component: str
    labels: dict[str, frozenset[str]]
    buckets: tuple[float, ...] = ()


def exported() -> list[Exported]:
    """All of them, in the order of their components. Raises ValueError for a metric of which there is no sample."""
    return [metric for component, text in texts().items() for metric in read(component, text)]


def read(component: str, text: str) -> Iterator[Exported]:
    """Ferryman's own metrics in one program's /metrics; not what the client library adds by itself."""
    for family in text_string_to_metric_families(text):
        # The client writes a `_created` beside each counter and histogram: when it began to count.
        if not family.name.startswith("ferryman_") or family.name.endswith("_created"):
            continue
        labels: dict[str, set[str]] = {}
        bounds: set[float] = set()
        for sample in family.samples:
            for label, value in sample.labels.items():
                if label == "le":
                    bounds.add(float(value))
                else:
                    labels.setdefault(label, set()).add(value)
        if not family.samples:
            raise ValueError(f"{component} gives no sample of {family.name}: let exercise.py bring it about")
        yield Exported(
            name=family.name + ("_total" if family.type == "counter" else ""),
            type=family.type,
            help=family.documentation,
            component=component,
            labels={label: frozenset(values) for label, values in labels.items()},
            buckets=tuple(sorted(bounds - {float("inf")})),
        )
