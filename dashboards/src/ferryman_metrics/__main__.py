"""Writes docs/metrics.md.

python -m ferryman_metrics
"""

from pathlib import Path

from ferryman_metrics.page import render

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"

if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(PAGE)
