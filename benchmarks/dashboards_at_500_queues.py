"""What every panel costs a Prometheus that has 500 queues: time, samples read, and series sent to the browser.

The town has 500 queues in 25 namespaces, 760 workers, a scheduler in each namespace, one operator and two pods of the
API. Its series are those that the programs export; an hour of them, every 30 s, is scraped from loopback into a real
Prometheus. Then every query of every dashboard is asked as Grafana asks it: the overview and the operator's page for
all queues, the queue's page for the busiest one. Times are Prometheus' own, and as noisy as the machine is busy;
samples and series are exact. What a query asks for `@ end()` is read once, and counted for every point of its graph:
there the samples held at once say more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from dashboard_cost.bill import Item, bill
from dashboard_cost.exporters import series
from dashboard_cost.feed import Feed
from dashboard_cost.history import History
from dashboard_cost.prometheus import Prometheus
from dashboard_cost.town import Town


def measure(queues: int, window_s: int, every_s: int, patience_s: float = 900) -> list[Item]:
    """Builds the town and asks every query. Raises NoPrometheus, or TimeoutError when the history takes too long."""
    town = Town.of(queues)
    steps = window_s // every_s + 1
    history = History(series(town), end_s=time.time() // every_s * every_s, steps=steps, every_s=every_s)
    _say(
        f"{queues} queues in {len(town.namespaces)} namespaces, {town.workers} workers: {history.series:,} series, "
        f"{history.series * history.steps:,} samples over {window_s // 60} minutes"
    )
    feed = Feed(history)
    try:
        with tempfile.TemporaryDirectory() as folder, Prometheus(Path(folder), feed.address) as prometheus:
            began = time.monotonic()
            if not feed.all_told.wait(patience_s):
                raise TimeoutError("Prometheus did not take the history in time")
            _say(f"scraped in {time.monotonic() - began:.0f} s")
            return list(bill(prometheus, town, history))
    finally:
        feed.close()


def show(items: Iterable[Item]) -> None:
    """A table: one line a panel, its queries added up, the dearest first in each dashboard."""
    boards: dict[str, dict[tuple[str, str], list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        boards[item.query.dashboard][item.query.panel, item.kind].append(item)
    for board, panels in boards.items():
        print(f"\n{board:46} {'ms':>8} {'samples':>12} {'at once':>10} {'series':>7} {'queries':>8}")
        rows = [(panel, kind, [item.answer for item in of]) for (panel, kind), of in panels.items()]
        for panel, kind, answers in sorted(rows, key=lambda row: -sum(answer.samples for answer in row[2])):
            print(
                f"  {panel[:32]:32} {kind:11} {sum(a.seconds for a in answers) * 1000:8,.0f} "
                f"{sum(a.samples for a in answers):12,} {max(a.peak for a in answers):10,} "
                f"{max(a.series for a in answers):7,} {len(answers):8}"
            )
        answers = [item.answer for of in panels.values() for item in of]
        print(
            f"  {'in all':44} {sum(a.seconds for a in answers) * 1000:8,.0f} "
            f"{sum(a.samples for a in answers):12,} {'':10} {'':7} {len(answers):8}"
        )


def main() -> None:
    """Run it and print a table, or JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queues", type=int, default=500)
    parser.add_argument("--minutes", type=int, default=60, help="what the dashboards show (60)")
    parser.add_argument("--every", type=int, default=30, help="seconds between scrapes (30)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    items = measure(options.queues, options.minutes * 60, options.every)
    if options.json:
        for item in items:
            print(json.dumps(asdict(item)))
    else:
        show(items)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
