"""Writes the dashboards into the chart, prints their queries, or draws them.

python -m ferryman_dashboards                                           writes charts/ferryman/dashboards/*.json
python -m ferryman_dashboards queries --namespace shop --queue emails   prints JSON, one object per query
python -m ferryman_dashboards preview --prometheus http://localhost:9090 draws every panel into docs/dashboards/*.png
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from ferryman_dashboards.catalog import build_all, render
from ferryman_dashboards.queries import list_queries

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "charts" / "ferryman" / "dashboards"
PICTURES = ROOT / "docs" / "dashboards"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m ferryman_dashboards", description="Ferryman's Grafana dashboards: written into the chart."
    )
    commands = parser.add_subparsers(dest="command", metavar="{queries,preview}")
    queries = commands.add_parser("queries", help="print every query of every panel as JSON instead")
    queries.add_argument("--namespace", required=True, help="value of $namespace")
    queries.add_argument("--queue", required=True, help="value of $queue")
    queries.add_argument("--rate-interval", default="1m", help="value of $__rate_interval: 4 scrapes or more (1m)")
    queries.add_argument("--range", default="1h", help="value of $__range: the length of the time that is shown (1h)")
    drawing = commands.add_parser("preview", help="draw every panel from a Prometheus, one PNG for each dashboard")
    drawing.add_argument("--prometheus", required=True, metavar="URL", help="such as http://localhost:9090")
    drawing.add_argument("--from", dest="since", default="now-1h", metavar="TIME", help="now-1h, or seconds since 1970")
    drawing.add_argument("--to", dest="until", default="now", metavar="TIME", help="the same; now")
    drawing.add_argument("--namespace", help="value of $namespace on the queue's dashboard; the first that there is")
    drawing.add_argument("--queue", help="value of $queue; the first that there is")
    drawing.add_argument("--out", type=Path, default=PICTURES, metavar="FOLDER", help="docs/dashboards")
    given = parser.parse_args()
    if given.command == "queries":
        _print_queries(
            {
                "namespace": given.namespace,
                "queue": given.queue,
                "__rate_interval": given.rate_interval,
                "__range": given.range,
            }
        )
    elif given.command == "preview":
        _draw(given)
    else:
        _write()


def _print_queries(variables: dict[str, str]) -> None:
    print(json.dumps([dataclasses.asdict(query) for query in list_queries(build_all(), variables)], indent=2))


def _draw(given: argparse.Namespace) -> None:
    # Only here: drawing needs httpx and matplotlib, which nothing else does.
    import httpx

    from ferryman_dashboards.preview.command import preview

    chosen = {name: value for name in ("namespace", "queue") if (value := getattr(given, name))}
    try:
        preview(given.prometheus, given.since, given.until, chosen, given.out, build_all())
    except (ValueError, OSError, httpx.HTTPError) as error:
        sys.exit(f"{given.prometheus}: {error}")


def _write() -> None:
    boards = build_all()
    for stale in set(FOLDER.glob("*.json")) - {FOLDER / name for name in boards}:
        stale.unlink()
    for name, board in boards.items():
        (FOLDER / name).write_text(render(board), encoding="utf-8")
        print(FOLDER / name)


if __name__ == "__main__":
    main()
