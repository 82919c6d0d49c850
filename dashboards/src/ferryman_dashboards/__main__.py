"""Writes the dashboards into the chart, or prints their queries.

python -m ferryman_dashboards                                           writes charts/ferryman/dashboards/*.json
python -m ferryman_dashboards queries --namespace shop --queue emails   prints JSON, one object per query
"""

import argparse
import dataclasses
import json
from pathlib import Path

from ferryman_dashboards.catalog import build_all, render
from ferryman_dashboards.queries import list_queries

FOLDER = Path(__file__).parents[3] / "charts" / "ferryman" / "dashboards"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m ferryman_dashboards", description="Ferryman's Grafana dashboards: written into the chart."
    )
    commands = parser.add_subparsers(dest="command", metavar="queries")
    queries = commands.add_parser("queries", help="print every query of every panel as JSON instead")
    queries.add_argument("--namespace", required=True, help="value of $namespace")
    queries.add_argument("--queue", required=True, help="value of $queue")
    queries.add_argument("--rate-interval", default="1m", help="value of $__rate_interval: 4 scrapes or more (1m)")
    given = parser.parse_args()
    if given.command == "queries":
        _print_queries(given.namespace, given.queue, given.rate_interval)
    else:
        _write()


def _print_queries(namespace: str, queue: str, rate_interval: str) -> None:
    variables = {"namespace": namespace, "queue": queue, "__rate_interval": rate_interval}
    print(json.dumps([dataclasses.asdict(query) for query in list_queries(build_all(), variables)], indent=2))


def _write() -> None:
    boards = build_all()
    for stale in set(FOLDER.glob("*.json")) - {FOLDER / name for name in boards}:
        stale.unlink()
    for name, board in boards.items():
        (FOLDER / name).write_text(render(board), encoding="utf-8")
        print(FOLDER / name)


if __name__ == "__main__":
    main()
