"""EEIPU against each peer: tests and times whose answers are known by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest

from kedro_eeipu.comparison.paired import best_peer, holm, paired
from kedro_eeipu.comparison.results import Run

Curve = Sequence[tuple[float, float]]


def run(sampler: str, seed: int, curve: Curve, budget: float = 100.0) -> Run:
    """A run that maximises, with a value for each change of the best."""
    best = curve[-1][1] if curve else None
    first = curve[0][1] if curve else None
    gain = 0.0 if best is None or first is None else best - first
    return Run(
        sampler, seed, True, budget, True, 1, first, best, gain, 0.0, 0.0, budget, tuple(curve)
    )


def ends(sampler: str, values: Sequence[float]) -> list[Run]:
    """Runs of the seeds from 0 on that come to these values after 50 seconds."""
    return [run(sampler, seed, [(0.0, 0.0), (50.0, v)]) for seed, v in enumerate(values)]


def test_six_wins_of_six_have_two_chances_in_sixty_four() -> None:
    table = paired([*ends("eeipu", [2.0] * 6), *ends("gp", [1.0, 1.1, 1.2, 1.3, 1.4, 1.5])], True)
    row = table["gp"]
    assert (row["seeds"], row["better"], row["equal"], row["worse"]) == (6, 6, 0, 0)
    assert row["p"] == row["p_uncorrected"] == pytest.approx(2 / 64)


def test_losses_are_as_significant_as_wins_and_direction_counts() -> None:
    ours, theirs = ends("eeipu", [2.0] * 6), ends("gp", [1.0, 1.1, 1.2, 1.3, 1.4, 1.5])
    row = paired([*ours, *theirs], maximize=False)["gp"]
    assert (row["better"], row["equal"], row["worse"]) == (0, 0, 6)
    assert row["p"] == pytest.approx(2 / 64)


def test_a_signed_rank_test_weighs_differences_by_their_rank() -> None:
    # Ranks 1 and 2 against us: rank sums 18 and 3. Of the 64 assignments of signs, those with
    # a sum of at most 3 are {}, {1}, {2}, {3} and {1, 2}: p = 2 * 5 / 64.
    row = paired([*ends("eeipu", [-1.0, -2, 3, 4, 5, 6]), *ends("gp", [0.0] * 6)], True)["gp"]
    assert row["p_uncorrected"] == pytest.approx(10 / 64)


def test_fewer_than_six_seeds_have_no_p() -> None:
    row = paired([*ends("eeipu", [2.0] * 5), *ends("gp", [1.0] * 5)], True)["gp"]
    assert row["p"] is None
    assert row["p_uncorrected"] is None


def test_equal_ends_are_no_evidence() -> None:
    row = paired([*ends("eeipu", [1.0] * 8), *ends("gp", [1.0] * 8)], True)["gp"]
    assert row["p"] == 1.0
    assert row["equal"] == 8


def test_only_seeds_that_both_have_are_paired() -> None:
    row = paired([*ends("eeipu", [2.0, 2.0, 2.0]), *ends("gp", [1.0, 3.0])], True)["gp"]
    assert (row["seeds"], row["better"], row["worse"]) == (2, 1, 1)


def test_who_found_nothing_has_lost() -> None:
    nothing = [run("gp", seed, []) for seed in range(6)]
    table = paired([*ends("eeipu", [1.0] * 6), *nothing], True)
    assert (table["gp"]["better"], table["gp"]["reached"]) == (6, 6)
    assert table["gp"]["p"] is not None
    assert table["gp"]["p"] < 0.05
    swapped = [run("eeipu", r.seed, []) for r in nothing] + ends("gp", [1.0] * 6)
    assert (paired(swapped, True)["gp"]["worse"], paired(swapped, True)["gp"]["reached"]) == (6, 0)
    neither = [run("eeipu", 0, []), run("gp", 0, [])]
    assert paired(neither, True)["gp"]["equal"] == 1


def test_holm_corrects_the_smallest_most_and_keeps_the_order() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "c": 0.06, "b": 0.06}
    )
    assert holm({"a": 0.7, "b": 0.6}) == {"b": 1.0, "a": 1.0}
    assert holm({}) == {}


def test_p_values_are_corrected_for_the_number_of_peers() -> None:
    runs = [*ends("eeipu", [2.0] * 6), *ends("gp", [1.0] * 6), *ends("tpe", [1.5] * 6)]
    table = paired(runs, True)
    assert table["gp"]["p_uncorrected"] == pytest.approx(2 / 64)
    assert table["gp"]["p"] == table["tpe"]["p"] == pytest.approx(4 / 64)


def test_seconds_are_divided_by_those_until_the_peer_had_its_final_value() -> None:
    # The peer has its 5.0 after 40 of its 100 seconds and finds nothing better; ours after 10.
    ours = run("eeipu", 0, [(0.0, 1.0), (4.0, 4.9), (10.0, 5.5), (90.0, 9.0)])
    peer = run("gp", 0, [(0.0, 1.0), (20.0, 3.0), (40.0, 5.0), (100.0, 5.0)])
    row = paired([ours, peer], True)["gp"]
    assert row["seconds_ratio"] == {"median": 0.25, "low": 0.25, "high": 0.25}
    assert row["budget_share"] == {"median": 0.1, "low": 0.1, "high": 0.1}
    assert row["reached"] == 1


def test_seeds_in_which_we_never_get_there_are_infinite() -> None:
    curves: list[Curve] = [[(0.0, 1.0), (10.0, 2.0)], [(0.0, 1.0)], [(0.0, 1.0), (30.0, 2.0)]]
    ours = [run("eeipu", seed, curve) for seed, curve in enumerate(curves)]
    theirs = [run("gp", seed, [(0.0, 1.0), (20.0, 2.0)]) for seed in range(3)]
    row = paired([*ours, *theirs], True)["gp"]
    assert row["reached"] == 2
    assert row["seconds_ratio"] == {"median": 1.5, "low": 0.5, "high": None}
    row = paired([*ours[:2], *theirs[:2]], True)["gp"]
    assert row["seconds_ratio"] == {"median": None, "low": 0.5, "high": None}
    assert math.inf not in json.loads(json.dumps(row["seconds_ratio"])).values()


def test_what_both_have_from_the_beginning_is_level() -> None:
    ours = run("eeipu", 0, [(0.0, 1.0), (5.0, 2.0)])
    row = paired([ours, run("gp", 0, [(0.0, 1.0)])], True)["gp"]
    assert row["seconds_ratio"]["median"] == 1.0
    assert row["budget_share"]["median"] == 0.0


def test_the_best_peer_has_the_best_mean() -> None:
    runs = [*ends("eeipu", [9.0, 9.0]), *ends("gp", [1.0, 4.0]), *ends("tpe", [2.0, 2.0])]
    assert best_peer(runs, maximize=True) == "gp"
    assert best_peer(runs, maximize=False) == "tpe"
    assert best_peer(ends("eeipu", [1.0]), maximize=True) is None
