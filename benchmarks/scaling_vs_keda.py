"""Ferryman's autoscaler beside KEDA's on the same simulated loads: waiting, pod-seconds, turns, interrupted runs.

Ferryman's side is its real code (rates, decision, drain), run once a second. KEDA's is its documented algorithm with
its defaults: listLength 5, a poll every 30 s, an HPA that syncs every 15 s and looks 300 s back; `KEDA tuned` knows
the run time of the tasks, polls every 5 s and looks 60 s back. Both have pods of 10 slots, at most 20, and zero when
there is nothing to do; Ferryman's target latency is 5 s. Figures are means over loads with different seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Final

from scaling_simulator.comparison import Makes, Result, ferryman, keda, keda_tuned, measure
from scaling_simulator.fleet import START_S
from scaling_simulator.shapes import SHAPES

SCALERS: Final[dict[str, Makes]] = {"Ferryman": ferryman, "KEDA": keda, "KEDA tuned": keda_tuned}

NOTE: Final = """\
interrupted: runs that were cut short because their pod was taken away 25 s after SIGTERM; they start anew elsewhere.
slow: a pod fits 10 long tasks, and 30 of them run on average. KEDA gets by with about as many pod-seconds as Ferryman,
  in some runs with fewer, for it lets tasks wait for a free slot and kills busy pods; Ferryman starts a pod instead.
burst, hourly: tuned, KEDA spends fewer pod-seconds, for its pods come later, when the work is nearly done."""


def rows(seeds: range, start_s: float) -> Iterator[tuple[str, str, str, Result]]:
    """(shape, what it is, scaler, result), shape by shape."""
    for shape in SHAPES:
        for name, result in zip(SCALERS, measure(shape, list(SCALERS.values()), seeds, start_s), strict=True):
            yield shape.name, shape.words, name, result


def main() -> None:
    """Run it and print a table, or JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=8, help="loads of each shape")
    parser.add_argument("--start", type=float, default=START_S, help="seconds that a pod takes to start")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    if not options.json:
        print(f"{options.runs} loads of each shape; a pod starts in {options.start:g} s; times in seconds\n")
        print(f"{'':10} {'wait p50':>9} {'p95':>7} {'max':>7} {'pod-seconds':>12} {'turns':>6} {'interrupted':>12}")
    before = ""
    for shape, words, scaler, result in rows(range(1, options.runs + 1), options.start):
        if options.json:
            print(json.dumps({"shape": shape, "scaler": scaler} | figures(result)))
            continue
        if shape != before:
            print(f"{shape}: {words}")
        before = shape
        print(
            f"{scaler:10} {result.wait_s(0.5):9.2f} {result.wait_s(0.95):7.2f} {result.longest_wait_s:7.2f} "
            f"{result.pod_seconds:12,.0f} {result.turns:6.1f} {result.interrupted:12.1f}"
        )
    if not options.json:
        print(f"\n{NOTE}")


def figures(result: Result) -> dict[str, float]:
    """A row of the table."""
    return {
        "wait_p50_s": round(result.wait_s(0.5), 3),
        "wait_p95_s": round(result.wait_s(0.95), 3),
        "wait_max_s": round(result.longest_wait_s, 3),
        "pod_seconds": round(result.pod_seconds),
        "turns": result.turns,
        "interrupted": result.interrupted,
    }


if __name__ == "__main__":
    main()
