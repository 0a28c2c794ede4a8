"""What a trial costs a sampler that pays for each computation once.

The samplers of a comparison share one cache, so that every computation is done, and timed, once.
Each pays for it all the same: its full recorded seconds the first time, the seconds of loading its
outputs from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace

from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import NodeRecord, TrialRecord

__all__ = ["charge", "paid_for", "price"]


def paid_for(trials: Iterable[TrialRecord]) -> set[str]:
    """Keys of all computations that these trials have paid for."""
    return {
        n.key
        for t in trials
        if not t.interrupted
        for n in t.nodes
        if n.key is not None and n.has_outputs
    }


def charge(
    nodes: Iterable[NodeRecord],
    paid: Set[str],
    consumers: Mapping[str, Set[str]],
    load_seconds: Callable[[NodeRecord], float],
) -> list[NodeRecord]:
    """The records of a trial's nodes as they are for one who has paid for some of them before.

    Args:
        nodes: What really happened: much may have been reused that others have paid for.
        paid: Keys of what this sampler has paid for.
        consumers: Names of the nodes that read a node's outputs, by its name.
        load_seconds: Seconds that reading a node's outputs from the cache takes.
    """
    nodes = list(nodes)
    reused = {n.name for n in nodes if n.has_outputs and n.key in paid}
    run = {n.name for n in nodes if n.status != NodeState.SKIPPED} - reused
    return [_charged(n, n.name in reused, run, consumers, load_seconds) for n in nodes]


def _charged(
    node: NodeRecord,
    reused: bool,
    run: Set[str],
    consumers: Mapping[str, Set[str]],
    load_seconds: Callable[[NodeRecord], float],
) -> NodeRecord:
    if not node.has_outputs:
        return node
    seconds = node.seconds if node.status == NodeState.RAN else node.saved
    if not reused:
        return replace(node, status=NodeState.RAN, seconds=seconds, saved=0.0, load=0.0)
    needed = not run.isdisjoint(consumers.get(node.name, set()))
    load = load_seconds(node) if needed else 0.0
    return replace(node, status=NodeState.REUSED, seconds=0.0, saved=seconds, load=load)


def price(trial: TrialRecord) -> float:
    """Seconds that a trial costs: running what runs, and loading what that needs."""
    return trial.cost + sum(n.load for n in trial.nodes if n.status == NodeState.REUSED)
