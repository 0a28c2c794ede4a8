"""What a study will cost, from the trials that ran."""

from __future__ import annotations

from typing import Any

from kedro_eeipu.states import NodeState
from kedro_eeipu.study.forecast import forecast
from kedro_eeipu.study.records import NodeRecord, TrialRecord


def ran(name: str, seconds: float, size: int = 10, **options: Any) -> NodeRecord:
    return NodeRecord(name, NodeState.RAN, seconds, outputs=(("d", size),), **options)


def reused(name: str, saved: float, size: int = 10) -> NodeRecord:
    return NodeRecord(name, NodeState.REUSED, 0.0, saved, outputs=(("d", size),))


def trial(number: int, *nodes: NodeRecord, state: str = "complete", **options: Any) -> TrialRecord:
    return TrialRecord(number, state, {}, 1.0, nodes, **options)


def test_nothing_is_known_until_every_node_has_run() -> None:
    failed = NodeRecord("b", NodeState.FAILED, 1.0)
    assert forecast([], ["a", "b"]) is None
    assert forecast([trial(0, ran("a", 1.0), failed, state="failed")], ["a", "b"]) is None


def test_a_cold_trial_is_the_sum_of_what_its_nodes_take() -> None:
    trials = [
        trial(0, ran("a", 10.0, 100), ran("b", 2.0, 20)),
        trial(1, reused("a", 10.0, 100), ran("b", 4.0, 40)),
        trial(2, ran("gone", 50.0), reused("a", 10.0, 100), ran("b", 3.0, 30)),
        trial(3, state="running"),
    ]
    cost = forecast(trials, ["a", "b"])
    assert cost is not None
    assert (cost.cold_seconds, cost.cold_bytes) == (13.0, 130.0)
    assert (cost.trials, cost.spent) == (3, 69.0)
    assert cost.left(None, None) is None
    assert cost.left(10, None) == (6, "The limit of 10 trials"), "the running one counts"
    assert cost.left(10, 115.0) == (2, "The budget of 115.0 s")
    assert cost.left(2, 1.0) == (0, "The budget of 1.0 s")


def test_what_is_not_kept_takes_no_room() -> None:
    cost = forecast([trial(0, ran("a", 1.0, 100, why_not="it is not pickled"))], ["a"])
    assert cost is not None
    assert (cost.bytes, cost.cold_bytes) == (0, 0)
