"""Ferryman's Grafana dashboards in code: one module per dashboard, written as JSON into the chart.

For development only: nothing here is installed or shipped in an image. `make dashboards` writes, a test compares.
"""

from ferryman_dashboards.catalog import build_all, render
from ferryman_dashboards.queries import Query, list_queries

__all__ = ["Query", "build_all", "list_queries", "render"]
