"""What Ferryman exports to Prometheus, read from the programs themselves, and the page about it.

For development only, like the dashboards. `make docs` writes docs/metrics.md, a test compares.
"""

from ferryman_metrics.exported import Exported, exported
from ferryman_metrics.labels import LABELS, Label
from ferryman_metrics.page import render

__all__ = ["LABELS", "Exported", "Label", "exported", "render"]
