"""What a trial costs one who has paid for some of its computations before."""

from __future__ import annotations

from kedro_eeipu.comparison.account import charge, paid_for, price
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import NodeRecord, TrialRecord

CONSUMERS = {"clean": {"train"}, "train": {"score"}, "score": set()}


def node(name: str, status: str, seconds: float, key: str | None = None) -> NodeRecord:
    ran = status in ("ran", "failed")
    return NodeRecord(
        name,
        NodeState(status),
        seconds=seconds if ran else 0.0,
        saved=0.0 if ran else seconds,
        key=key or f"{name}-key",
        outputs=((f"{name}-blob", 1),),
    )


def trial(number: int, *nodes: NodeRecord, interrupted: bool = False) -> TrialRecord:
    return TrialRecord(number, "complete", {}, 1.0, tuple(nodes), interrupted=interrupted)


def load_seconds(node: NodeRecord) -> float:
    return {"clean": 0.5, "train": 0.25, "score": 0.125}[node.name]


def test_what_others_have_computed_is_paid_for_in_full() -> None:
    happened = [node("clean", "reused", 4.0), node("train", "reused", 8.0), node("score", "ran", 1)]
    charged = charge(happened, set(), CONSUMERS, load_seconds)
    assert [(n.status, n.seconds, n.saved, n.load) for n in charged] == [
        ("ran", 4.0, 0.0, 0.0),
        ("ran", 8.0, 0.0, 0.0),
        ("ran", 1.0, 0.0, 0.0),
    ]
    assert price(trial(0, *charged)) == 13.0


def test_what_was_paid_for_costs_loading_where_a_node_that_runs_reads_it() -> None:
    happened = [node("clean", "reused", 4.0), node("train", "reused", 8.0), node("score", "ran", 1)]
    charged = charge(happened, {"clean-key", "train-key"}, CONSUMERS, load_seconds)
    assert [(n.status, n.seconds, n.saved, n.load) for n in charged] == [
        ("reused", 0.0, 4.0, 0.0),
        ("reused", 0.0, 8.0, 0.25),
        ("ran", 1.0, 0.0, 0.0),
    ]
    assert price(trial(0, *charged)) == 1.25


def test_what_was_paid_for_and_evicted_is_not_paid_for_again() -> None:
    charged = charge([node("clean", "ran", 4.0)], {"clean-key"}, CONSUMERS, load_seconds)
    assert (charged[0].status, charged[0].seconds, charged[0].saved) == ("reused", 0.0, 4.0)


def test_nodes_that_are_never_cached_are_paid_for_each_time() -> None:
    never = NodeRecord("train", NodeState.RAN, seconds=8.0, why_not="a generator")
    assert charge([never], paid_for([trial(0, never)]), CONSUMERS, load_seconds) == [never]


def test_failed_nodes_cost_what_they_took_and_need_their_inputs() -> None:
    happened = [
        node("clean", "reused", 4.0),
        node("train", "failed", 2.0),
        NodeRecord("score", NodeState.SKIPPED),
    ]
    charged = charge(happened, {"clean-key"}, CONSUMERS, load_seconds)
    assert [n.status for n in charged] == ["reused", "failed", "skipped"]
    assert price(trial(0, *charged)) == 2.5


def test_only_trials_that_ended_have_paid() -> None:
    trials = [
        trial(0, node("clean", "ran", 4.0), node("train", "failed", 1.0)),
        trial(1, node("score", "ran", 1.0), interrupted=True),
    ]
    assert paid_for(trials) == {"clean-key"}
