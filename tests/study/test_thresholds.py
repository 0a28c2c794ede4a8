"""Thresholds from what nodes have reported while they trained."""

from __future__ import annotations

import math

from kedro_eeipu.states import NodeState
from kedro_eeipu.study.curves import thresholds_of_nodes, thresholds_of_reports
from kedro_eeipu.study.records import NodeRecord, TrialRecord


def trained(number: int, end: float, value: float | None) -> TrialRecord:
    """A trial whose training came to its end, or was stopped if it has no value."""
    status = NodeState.RAN if value is not None else NodeState.STOPPED
    node = NodeRecord("train", status, key=f"key{number}", curve=((0, end),))
    return TrialRecord(number, "pruned" if value is None else "complete", {}, value, (node,))


def test_trainings_that_agree_with_their_trials_have_a_threshold() -> None:
    trials = [trained(n, float(n), float(n)) for n in range(5)]
    assert thresholds_of_nodes(trials, maximize=True) == ({"train": {0: 1.0}}, [])


def test_too_few_whole_trainings_have_none_though_many_were_stopped() -> None:
    trials = [trained(n, float(n), float(n) if n < 4 else None) for n in range(9)]
    assert thresholds_of_nodes(trials, maximize=True) == ({}, [])


def test_trainings_that_end_the_other_way_round_are_named() -> None:
    trials = [trained(n, float(n), float(-n)) for n in range(5)]
    assert thresholds_of_nodes(trials, maximize=True) == ({}, ["train"])


def reporting(number: int, value: float, state: str = "complete") -> TrialRecord:
    """A trial with one value between nodes."""
    return TrialRecord(number, state, {}, None, reported={0: value})


def test_reports_have_a_threshold_from_five_different_values_on() -> None:
    trials = [reporting(n, float(n % 4)) for n in range(8)]
    assert thresholds_of_reports(trials, maximize=True) == {}
    trials.append(reporting(8, 4.0))
    assert thresholds_of_reports(trials, maximize=True) == {0: 1.0}
    assert thresholds_of_reports(trials, maximize=False) == {0: 3.0}


def test_equal_values_make_the_rule_no_stricter() -> None:
    good = [reporting(n, (80 + n) / 100) for n in range(5)]
    diverged = [reporting(n, 0.1) for n in range(5, 15)]
    assert thresholds_of_reports([*good, *diverged], maximize=True) == {0: 0.1}
    reused = [reporting(n, 0.84) for n in range(5, 15)]
    assert thresholds_of_reports([*good, *reused], maximize=True) == {0: 0.81}
    again = [reporting(n, 0.1, "pruned") for n in range(5, 15)]
    assert thresholds_of_reports([*good, *again], maximize=True)[0] > 0.79


def test_values_that_are_no_numbers_and_unfinished_trials_do_not_count() -> None:
    trials = [reporting(n, float(n)) for n in range(5)]
    trials += [reporting(5, math.nan), reporting(6, math.inf), reporting(7, -9.0, "running")]
    assert thresholds_of_reports(trials, maximize=True) == {0: 1.0}
