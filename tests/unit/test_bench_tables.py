"""The pure parts of `make bench` and its guard: statistics, ratios, verdicts, tables, the page and the floors."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from growing.growth import Line
from growing.growth import table as growth_table
from guarding.floor import Floor, derived, is_below, read, write
from peers.catalogue import OWN, PEERS
from tables.page import BEGIN, END, begin, filled
from tables.results import Image, Machine, Results, Run, Sitting
from tables.statistics import Ratio, quantile, ratio, summary
from tables.table import HEAD, about, cells_of, markdown, number, rows, text
from workloads.catalogue import WORKLOADS
from workloads.drain import Sample, outside_rate
from workloads.kill import Verdict, judge


def results(*runs: Run, load: float = 0.2, scale: float = 1.0, repetitions: int = 5) -> Results:
    """Of ferryman, bullmq and celery; asynq is not installed."""
    machine = Machine("A processor", 2, 24.0, "Linux 6.1", "3.11.7", "Valkey 9.1.2", load)
    versions = {"ferryman": "0.1.0", "bullmq": "6.7.0", "celery": "5.7.0"}
    sitting = Sitting("2026-11-28 12:00", machine, scale, repetitions, versions, ("asynq",))
    return Results([sitting], list(runs))


def run(workload: str, peer: str, repetition: int, load: float = 0.1, **figures: float) -> Run:
    return Run(workload, peer, repetition, load, 80.0, figures)


class TestStatistics:
    def test_a_summary_has_the_median_and_the_spread(self) -> None:
        found = summary([9.0, 10.0, 14.0])

        assert (found.median, found.low, found.high, found.count) == (10.0, 9.0, 14.0, 3)
        assert found.spread == 0.5

    @pytest.mark.parametrize(("share", "value"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)])
    def test_a_quantile_is_a_value_that_was_measured(self, share: float, value: float) -> None:
        assert quantile([float(n) for n in range(1, 101)], share) == value

    def test_a_ratio_is_of_pairs_and_not_of_medians(self) -> None:
        # The machine slows down by ten from pair to pair; each pair says two, and the medians' ratio would be 0.2.
        found = ratio([200.0, 20.0, 2.0], [100.0, 10.0, 1.0])

        assert found == Ratio(2.0, 2.0, 2.0)

    def test_the_range_of_a_ratio_widens_with_the_pairs(self) -> None:
        found = ratio([10.0, 20.0, 30.0, 40.0, 50.0], [10.0] * 5)

        assert found is not None
        assert found.low < found.median == 3.0 < found.high

    def test_nothing_over_nothing_is_no_ratio(self) -> None:
        assert ratio([1.0], [0.0]) is None
        assert ratio([], []) is None


class TestVerdicts:
    def test_tasks_that_ran_twice_are_told_apart_by_whether_they_were_in_flight(self) -> None:
        verdict = judge(["0", "1", "2", "3"], running={"1"}, ended=["0", "0", "1", "1", "2", "2"])

        assert verdict == Verdict(lost=1, twice=3, twice_not_in_flight=2, in_flight=1)

    def test_the_rate_from_outside_is_of_what_left_the_queue_between_two_looks(self) -> None:
        samples = [Sample(0.0, 1000), Sample(3.0, 890), Sample(4.0, 500), Sample(5.0, 90), Sample(9.0, 0)]

        assert outside_rate(samples, 1000) == 400.0

    def test_a_queue_that_was_empty_at_the_first_look_has_no_rate(self) -> None:
        assert outside_rate([Sample(0.0, 1000), Sample(1.0, 0)], 1000) == 0.0


class TestTable:
    def test_ratios_say_how_many_times_better_ours_is_either_way(self) -> None:
        found = results(
            *(run("w1", "ferryman", n, rate=60_000.0, memory=30.0) for n in range(3)),
            *(run("w1", "bullmq", n, rate=20_000.0, memory=90.0) for n in range(3)),
            *(run("w1", "celery", n, rate=1_000.0, memory=60.0) for n in range(3)),
        )

        rate, memory = rows(found, WORKLOADS, OWN)

        assert [cell.peer for cell in rate.cells] == ["bullmq", "celery"]
        assert [cell.peer for cell in memory.cells] == ["celery", "bullmq"]
        assert cells_of(rate)[1:] == (
            *("60,000 /s", "60,000 to 60,000", "20,000 (bullmq)", "3x"),
            *("20,000", "3x", "1,000", "60x"),
        )
        assert cells_of(memory)[3:5] == ("60 (celery)", "2x")

    def test_only_repetitions_that_both_have_are_compared(self) -> None:
        found = results(
            *(run("w1", "ferryman", n, rate=rate) for n, rate in enumerate([100.0, 300.0])),
            Run("w1", "bullmq", 0, 0.1, 80.0, void="a worker has ended"),
            run("w1", "bullmq", 1, rate=100.0),
        )

        [row] = rows(found, WORKLOADS, OWN)

        assert row.cells[0].ratio == Ratio(3.0, 3.0, 3.0)

    def test_what_was_not_measured_is_a_dash_and_no_zero(self) -> None:
        [row] = rows(results(run("w1", "ferryman", 0, rate=5.0)), WORKLOADS, OWN)

        assert cells_of(row)[3:] == ("-", "", "-", "", "-", "")

    def test_a_terminal_and_a_page_show_the_same_figures(self) -> None:
        found = results(run("w1", "ferryman", 0, rate=60_000.0), run("w1", "bullmq", 0, rate=20_000.0))
        table = rows(found, WORKLOADS, OWN)

        for shown in (text(table), markdown(found, table)):
            assert all(head in shown for head in HEAD)
            assert "60,000 /s" in shown
            assert "20,000 (bullmq)" in shown

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (0.0, "0"),
            (0.314, "0.31"),
            (4.0, "4"),
            (4.25, "4.25"),
            (31.46, "31.5"),
            (412.3, "412"),
            (17_300.4, "17,300"),
        ],
    )
    def test_numbers_have_as_many_figures_as_count(self, value: float, shown: str) -> None:
        assert number(value) == shown

    def test_a_run_on_a_busy_machine_or_a_short_one_says_so(self) -> None:
        calm = "\n".join(about(results(run("w1", "ferryman", 0, rate=1.0))))
        busy = "\n".join(about(results(run("w1", "ferryman", 0, rate=1.0), load=7.5)))
        short = "\n".join(about(results(run("w1", "ferryman", 0, rate=1.0), scale=0.1, repetitions=1)))

        assert "Provisional" not in calm
        assert "load of 7.5" in busy
        assert "Not a full run" in short
        assert "left out: asynq" in calm
        assert "bullmq 6.7.0" in calm

    def test_results_come_back_from_their_file(self, tmp_path: Path) -> None:
        found = results(run("w1", "ferryman", 0, rate=1.5))

        found.write(tmp_path / "deep" / "results.json")

        assert Results.read(tmp_path / "deep" / "results.json") == found


class TestSittings:
    """One table in many sittings: what is measured anew replaces, the rest stays; only one sitting's runs compare."""

    EARLIER = results(
        *(run("w1", peer, n, rate=rate) for n in range(5) for peer, rate in [("ferryman", 60.0), ("bullmq", 20.0)]),
        *(run("sleep", peer, n, rate=rate) for n in range(5) for peer, rate in [("ferryman", 20.0), ("bullmq", 10.0)]),
        run("w1", "celery", 0, rate=6.0),
    )

    def test_another_workload_is_added(self) -> None:
        both = self.EARLIER.with_sitting(results(run("kill", "ferryman", 0, load=3.0, lost=0.0)), OWN)

        assert {found.workload for found in both.runs} == {"w1", "sleep", "kill"}
        assert [found.sitting for found in both.runs if found.workload == "kill"] == [1]
        assert len(both.sittings) == 2

    def test_a_workload_that_is_measured_again_is_replaced(self) -> None:
        again = results(*(run("w1", peer, 0, rate=rate) for peer, rate in [("ferryman", 90.0), ("bullmq", 10.0)]))

        [row, *_] = rows(self.EARLIER.with_sitting(again, OWN), WORKLOADS, OWN)

        assert row.own is not None
        assert row.own.median == 90.0
        assert row.cells[0].value.median == 10.0
        assert row.cells[0].ratio == Ratio(9.0, 9.0, 9.0)

    def test_a_peer_that_was_not_measured_again_keeps_the_ratio_of_its_own_sitting(self) -> None:
        again = results(*(run("w1", peer, 0, rate=rate) for peer, rate in [("ferryman", 90.0), ("bullmq", 10.0)]))

        [row, *_] = rows(self.EARLIER.with_sitting(again, OWN), WORKLOADS, OWN)
        celery = row.cell("celery")

        assert celery is not None
        assert celery.ratio == Ratio(10.0, 10.0, 10.0)

    def test_what_nothing_needs_any_more_is_gone(self) -> None:
        first = results(run("w1", "ferryman", 0, rate=1.0), run("w1", "bullmq", 0, rate=1.0))
        again = results(run("w1", "ferryman", 0, rate=2.0), run("w1", "bullmq", 0, rate=1.0))

        assert first.with_sitting(again, OWN) == again

    def test_the_page_says_when_and_how_busy_each_sitting_was(self) -> None:
        later = results(run("kill", "ferryman", 0, load=3.0, lost=0.0), load=2.5, repetitions=1)

        said = "\n".join(about(self.EARLIER.with_sitting(later, OWN)))

        assert "in 2 sittings" in said
        assert "Sitting 1: 2026-11-28 12:00, 5 repetitions, interleaved; load 0.1 to 0.1" in said
        assert "kill of ferryman." in said
        assert "Sitting 2: the machine had a load of 2.5" in said
        assert "Not a full run: Sitting 2: 1 repetitions" in said

    def test_images_are_told_with_both_sizes_and_a_missing_one_by_name(self) -> None:
        found = results(run("w1", "ferryman", 0, rate=1.0))
        sitting = msgspec.structs.replace(
            found.latest, images={"worker": Image(148_763_136, 55_981_362), "operator": None}
        )

        said = "\n".join(about(Results([sitting], found.runs)))

        assert "Images: worker 149 MB (56 MB compressed), operator not built." in said


class TestGrowth:
    @pytest.mark.parametrize(
        ("costs_us", "holds"),
        [
            pytest.param({1_000: 50.0, 1_000_000: 60.0}, True, id="constant"),
            pytest.param({1_000: 50.0, 1_000_000: 150.0}, True, id="a logarithm, in colder caches"),
            pytest.param({1_000: 50.0, 1_000_000: 50_000.0}, False, id="in proportion"),
            pytest.param({1_000: 50.0, 1_000_000: 1_600.0}, False, id="with the root"),
            pytest.param({10: 1.0, 500: 25.0}, True, id="too little to be felt"),
            pytest.param({100: 300.0, 900: 2_700.0, 10_000: 3_000.0}, True, id="up to a bound"),
            pytest.param({100: 300.0, 900: 320.0, 10_000: 3_000.0}, False, id="from some size on"),
            pytest.param({100: 300.0, 900: 2_700.0, 10_000: 9_000.0}, False, id="ever slower, but on and on"),
        ],
    )
    def test_only_a_logarithm_passes(self, costs_us: dict[int, float], holds: bool) -> None:
        assert Line("tasks", "stats", costs_us, costs_us, costs_us).holds is holds

    def test_the_table_has_a_column_for_each_size_and_says_what_grows(self) -> None:
        lines = [Line("workers", "stats", us, us, us) for us in [{100: 200.0, 10_000: 20_000.0}]]

        head, row = growth_table(lines)

        assert head[1:3] == ("100", "10,000")
        assert row[1:3] == ("200", "20,000")
        assert row[-1] == "100x **with the size**"


class TestPage:
    def test_only_what_is_between_the_markers_changes(self) -> None:
        page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nText\n"

        once = filled(page, "new")

        assert once == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nText\n"
        assert filled(once, "new") == once

    @pytest.mark.parametrize("page", ["nothing", f"{END}\n{BEGIN}", f"{BEGIN}\n{BEGIN}\n{END}"])
    def test_a_page_without_a_place_for_it_is_refused(self, page: str) -> None:
        with pytest.raises(ValueError, match="once and in this order"):
            filled(page, "new")

    def test_each_command_has_a_section_of_its_own(self) -> None:
        page = f"{BEGIN}\nold\n{END}\n{begin('bench-scale')}\nolder\n{END}\n"

        found = filled(page, "new", begin("bench-scale"))

        assert found == f"{BEGIN}\nold\n{END}\n{begin('bench-scale')}\n\nnew\n\n{END}\n"
        with pytest.raises(ValueError, match="once and in this order"):
            filled(f"{BEGIN}\n{begin('bench-scale')}\n{END}", "new")

    @pytest.mark.parametrize("target", ["bench-page", "bench-scale", "bench-prices", "bench-redis", "bench-enqueue"])
    def test_the_page_of_the_project_has_a_place_for_it(self, target: str) -> None:
        page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")

        assert "a table" in filled(page, "a table", begin(target))


class TestFloor:
    def test_a_steady_measurement_still_leaves_a_tenth_to_chance(self) -> None:
        assert derived([50.0] * 5, [100.0] * 5, 0.1) == Floor(0.45, 0.5, 0.0, 5, 0.1)

    def test_an_unsteady_one_leaves_more(self) -> None:
        floor = derived([30.0, 40.0, 50.0, 60.0, 70.0], [100.0] * 5, 0.1)

        assert floor.measured == 0.5
        assert floor.spread == 0.2
        assert floor.floor == pytest.approx(0.5 * (1 - 4 * 0.2 / 5**0.5), abs=1e-4)

    @pytest.mark.parametrize(
        ("found", "below"),
        [
            pytest.param(Ratio(0.50, 0.48, 0.52), False, id="as it was"),
            pytest.param(Ratio(0.44, 0.40, 0.47), False, id="perhaps slower: noise fails nothing"),
            pytest.param(Ratio(0.40, 0.38, 0.42), True, id="slower for certain"),
        ],
    )
    def test_only_what_is_certain_fails(self, found: Ratio, below: bool) -> None:
        assert is_below(found, Floor(0.45, 0.5, 0.0, 5, 0.1)) is below

    def test_floors_come_back_from_their_file(self, tmp_path: Path) -> None:
        floors = {"worker": Floor(0.45, 0.5, 0.01, 7, 0.2)}

        write(tmp_path / "floors.json", floors)

        assert read(tmp_path / "floors.json") == floors


class TestCatalogue:
    def test_every_peer_names_workloads_that_there_are(self) -> None:
        known = {workload.name for workload in WORKLOADS}

        assert {name for peer in PEERS for name in peer.workloads} == known

    def test_every_peer_tells_its_queue_by_its_own_key(self) -> None:
        commands = {peer.waiting for peer in PEERS if peer.name not in OWN}

        assert len(commands) == len([peer for peer in PEERS if peer.name not in OWN])
        assert {words[0] for words in commands} <= {"LLEN", "ZCARD", "XLEN"}
