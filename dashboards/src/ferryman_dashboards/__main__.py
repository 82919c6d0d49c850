"""Writes the dashboards into the chart, or prints their queries.

python -m ferryman_dashboards write                                    charts/ferryman/dashboards/*.json
python -m ferryman_dashboards queries --namespace shop --queue emails  JSON, one object per query
"""

import argparse
import dataclasses
import json
from pathlib import Path

from ferryman_dashboards.catalog import build_all, render
from ferryman_dashboards.queries import list_queries


def main() -> None:
    parser = argparse.ArgumentParser(prog="ferryman_dashboards", description="Ferryman's Grafana dashboards.")
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="write the JSON files that the chart ships")
    write.add_argument("folder", nargs="?", type=Path, default=Path("charts/ferryman/dashboards"))
    queries = commands.add_parser("queries", help="print every query of every panel as JSON")
    queries.add_argument("--namespace", required=True, help="value of $namespace")
    queries.add_argument("--queue", required=True, help="value of $queue")
    queries.add_argument("--rate-interval", default="1m", help="value of $__rate_interval: 4 scrapes or more")
    given = parser.parse_args()
    if given.command == "write":
        _write(given.folder)
    else:
        variables = {
            "namespace": given.namespace,
            "queue": given.queue,
            "__rate_interval": given.rate_interval,
        }
        found = [dataclasses.asdict(query) for query in list_queries(build_all(), variables)]
        print(json.dumps(found, indent=2))


def _write(folder: Path) -> None:
    boards = build_all()
    for stale in set(folder.glob("*.json")) - {folder / name for name in boards}:
        stale.unlink()
    for name, board in boards.items():
        (folder / name).write_text(render(board), encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main()
