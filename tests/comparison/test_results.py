"""Summing studies up, and comparing the sums."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from kedro_eeipu.comparison.document import as_json, run_from_json
from kedro_eeipu.comparison.page import comparison_html
from kedro_eeipu.comparison.results import Run, ratios, run_of, summaries
from kedro_eeipu.comparison.table import markdown_tables, terminal_tables, verdict
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import NodeRecord, TrialRecord

ABOUT = {
    "pipeline": "default",
    "objective": "metrics[loss]",
    "direction": "minimize",
    "budget": "10.0 s",
    "warmup_trials": 2,
    "seeds": 2,
    "clock": "wall",
    "costs": "Each node execution was measured once.",
}


def trial(number: int, value: float | None, seconds: float, saved: float = 0.0) -> TrialRecord:
    nodes = (
        NodeRecord("a", NodeState.RAN, seconds=seconds),
        NodeRecord("b", NodeState.REUSED, saved=saved),
    )
    state = "failed" if value is None else "complete"
    return TrialRecord(number, state, {}, value, nodes, proposing=0.5)


TRIALS = [
    trial(0, 9.0, 3.0),
    trial(1, 8.0, 3.0),
    trial(2, 8.5, 4.0),
    trial(3, None, 1.0),
    trial(4, 6.0, 2.0, saved=7.0),
    trial(5, 7.0, 3.0),
    trial(6, 1.0, 3.0),  # ends after the budget
]


def summed(trials: list[TrialRecord], maximize: bool = False) -> Run:
    return run_of("eeipu", 0, True, trials, warmup=2, budget=10.0, maximize=maximize, finished=True)


def test_a_run_counts_what_ended_within_the_budget() -> None:
    run = summed(TRIALS)
    assert (run.candidates, run.warmup_best, run.best, run.improvement) == (3, 8.0, 6.0, 2.0)
    assert run.curve == ((0.0, 8.0), (4.0, 8.0), (5.0, 8.0), (7.0, 6.0), (10.0, 6.0))
    assert run.node_seconds == 10.0
    assert run.reuse == pytest.approx(7 / 17)
    assert run.proposing_seconds == 2.0


def test_a_run_that_maximises_and_finds_nothing_better() -> None:
    run = summed(TRIALS[:2] + TRIALS[4:6], maximize=True)
    assert (run.warmup_best, run.best, run.improvement) == (9.0, 9.0, 0.0)


def test_a_run_from_scratch_pays_for_its_first_trials_and_gains_on_the_defaults() -> None:
    run = run_of(
        *("eeipu", 0, True, TRIALS),
        warmup=1,
        budget=14.0,
        maximize=False,
        finished=True,
        from_scratch=True,
    )
    assert (run.candidates, run.warmup_best, run.best, run.improvement) == (4, 9.0, 6.0, 3.0)
    assert run.curve == ((3.0, 9.0), (6.0, 8.0), (10.0, 8.0), (11.0, 8.0), (13.0, 6.0))


def test_a_comparison_from_scratch_is_shown_as_one() -> None:
    scratch = {**ABOUT, "from_scratch": True, "warmup_trials": 1}
    later = [replace(r, curve=tuple((x + 2, y) for x, y in r.curve)) for r in runs()]
    document = as_json(later, scratch)
    page = comparison_html(document).replace("&#x27;", "'")
    assert "in nodes from the project's own values on, 2 seeds" in page
    assert "since the warm-up" not in page
    assert "improvement since the project's own values" in verdict(document)


def test_a_run_that_is_still_warming_up() -> None:
    run = summed(TRIALS[:1])
    assert (run.candidates, run.best, run.improvement) == (0, 9.0, 0.0)


def runs() -> list[Run]:
    ours = summed(TRIALS)
    slow = ((0.0, 8.0), (10.0, 7.0))
    random = replace(ours, sampler="random", candidates=1, improvement=0.5, best=7.5)
    random = replace(random, curve=((0.0, 8.0), (9.0, 7.5)))
    lucky = replace(random, seed=1, candidates=3, improvement=1.5, best=6.5)
    tpe = replace(ours, sampler="tpe", candidates=2, improvement=0.0, best=8.0, cached=False)
    tpe = replace(tpe, curve=((0.0, 8.0),))
    return [
        ours,
        replace(ours, seed=1, candidates=5, improvement=1.0, best=7.0, curve=slow),
        random,
        replace(lucky, curve=((0.0, 8.0), (9.0, 6.5))),
        tpe,
        replace(tpe, seed=1),
    ]


def test_ratios_are_of_means_over_the_seeds() -> None:
    found = ratios(runs())
    assert found["random"] == {"candidates": 2.0, "improvement": 1.5}
    assert found["tpe, no cache"] == {"candidates": 2.0, "improvement": None}
    assert found["mean of peers"] == {"candidates": 2.0, "improvement": 3.0}
    assert ratios([r for r in runs() if r.sampler != "eeipu"]) == {}


def test_summaries_give_median_and_extremes() -> None:
    assert summaries(runs())["eeipu"]["candidates"] == {"median": 4, "low": 3, "high": 5}


def test_document_is_json_and_shown_alike_everywhere() -> None:
    document = json.loads(json.dumps(as_json(runs(), ABOUT)))
    assert verdict(document) == (
        "Best value, median of 2 seeds: eeipu with 6.5 (random 7, tpe, no cache 8). Against "
        "random, the peer with the best mean: better in 1, equal in 0, worse in 1 of 2 seeds; "
        "eeipu got to its final value in 1 of 2 seeds. eeipu: 2.00 times the candidates and 3.00 "
        "times the improvement since warm-up of the mean of its peers."
    )
    console = Console(width=80, record=True, file=io.StringIO())
    for shown in terminal_tables(document):
        console.print(shown)
    text = console.export_text()
    assert "tpe, no cache" in text
    assert "best peer" in text
    assert "2 seeds (0-1)" in text
    assert "…\n" not in text, "nothing is cut off"
    table = markdown_tables(document).splitlines()
    assert len(table) == 2 + 3 + 1 + 2 + 2 + 1
    assert table[2] == "| eeipu | 4 (3 … 5) | 6.5 (6 … 7) | 1.5 (1 … 2) | 41% | 2 |"
    assert table[8].startswith("| random (best peer) | 2.00 × | 1.50 × | 1, 0, 1 | - | never (1 of")
    assert table[9].startswith("| tpe, no cache | 2.00 × | peer: none | 2, 0, 0 | - | 1.00 (2 of")
    page = comparison_html(document)
    assert "tpe, no cache" in page
    assert "4 (3 … 5)" in page
    assert "http-equiv" in page


def test_p_values_are_shown_from_six_seeds_on() -> None:
    few = [replace(r, seed=seed) for seed in range(5) for r in (runs()[0], runs()[2])]
    more = [*few, replace(runs()[0], seed=5), replace(runs()[2], seed=5)]
    assert "p =" not in verdict(as_json(few, {**ABOUT, "seeds": 5}))
    document = as_json(more, {**ABOUT, "seeds": 6})
    assert "better in 6, equal in 0, worse in 0 of 6 seeds (p = 0.031)" in verdict(document)
    assert "| 6, 0, 0 | 0.031 |" in markdown_tables(document)
    assert "<td>0.031</td>" in comparison_html(document)


def test_runs_come_back_from_the_document() -> None:
    document = json.loads(json.dumps(as_json(runs(), ABOUT)))
    assert [run_from_json(r) for r in document["runs"]] == runs()


def test_names_of_the_project_cannot_break_the_page() -> None:
    document = as_json(runs(), {**ABOUT, "pipeline": "<b>", "objective": "</script><i>"})
    page = comparison_html(document)
    assert "<em>&lt;b&gt;</em>" in page
    assert "</script><i>" not in page
