"""Thresholds from what nodes have reported while they trained."""

from __future__ import annotations

from kedro_eeipu.states import NodeState
from kedro_eeipu.study.curves import thresholds_of_nodes
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
