"""How it is found out what a difference means: a record against fresh executions of its node.

Each procedure is a generator: it yields what to run next, receives the result, and returns
its finding.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import NodeRecord, TrialRecord
from kedro_eeipu.tuning.audit_tasks import Answer, NodeTask, ReplayTask, Task

__all__ = [
    "Finding",
    "Kind",
    "Procedure",
    "Provenance",
    "examine_node",
    "examine_trial",
    "is_mixed",
]


class Kind(str, Enum):
    """What an audit can find."""

    VERIFIED = "verified"
    """Fresh executions return what was recorded."""
    VARIES = "varies"
    """Two fresh executions differ from each other: the node is not deterministic."""
    ELSEWHERE = "elsewhere"
    """The record was made on another kind of machine or with other libraries."""
    WRONG = "wrong"
    """Fresh executions agree with each other and differ from the record."""
    PASSED_ON = "passed on"
    """The node depends on what nodes before it leave in the process."""
    REFUTED = "refuted"
    """A trial has another objective without the cache; which record is wrong is not known."""
    UNKNOWN = "unknown"
    """Nothing could be found out."""


@dataclass(frozen=True)
class Finding:
    """What an audit has found.

    Attributes:
        kind: What it is.
        node: The node; of a verified trial empty.
        key: The key of the record; of a verified trial empty.
        text: Why nothing could be found out.
        others: The nodes that leave something behind for it.
        value: The objective of a replay, where it may differ from the trial's.
    """

    kind: Kind
    node: str = ""
    key: str = ""
    text: str = ""
    others: tuple[str, ...] = ()
    value: float | None = None


Procedure = Generator[Task, Answer, Finding]


class Provenance(Protocol):
    """Tells where records come from."""

    def place(self, node: NodeRecord) -> str:
        """Digest of the kind of machine and the libraries, empty where that is not known."""

    def is_inferred(self, node: NodeRecord) -> bool:
        """Whether the project has changed since the record of the node was made."""


def examine_node(trial: TrialRecord, node: NodeRecord, provenance: Provenance) -> Procedure:
    """Run a node that a trial reused, with its inputs from the cache."""
    return (yield from _difference(trial, node, provenance))


def examine_trial(trial: TrialRecord, provenance: Provenance) -> Procedure:
    """Run all nodes of a trial, nothing from the cache."""
    replay = yield _replay(trial, trial.nodes)
    if replay.error:
        return Finding(Kind.UNKNOWN, text=replay.error)
    node = next((n for n in trial.nodes if n.name in replay.differing), None)
    if node is None:
        return Finding(Kind.VERIFIED)
    finding = Finding(Kind.UNKNOWN, node.name)
    if node.key is not None:
        finding = yield from _difference(trial, node, provenance)
    if finding.kind not in (Kind.VERIFIED, Kind.UNKNOWN):
        return finding
    again = yield _replay(trial, trial.nodes, watched=node, anew=True)
    if node.name not in again.differing or again.value != replay.value:
        return Finding(Kind.VARIES, node.name, node.key or "", value=again.value)
    if finding.kind == Kind.VERIFIED:
        return (yield from _who_passes_on(trial, node, again))
    if again.value in (None, trial.value):
        return finding
    return Finding(Kind.REFUTED, node.name, value=again.value)


def _difference(trial: TrialRecord, node: NodeRecord, provenance: Provenance) -> Procedure:
    first = yield _alone(trial, node)
    if first.skipped or (first.same is None and not first.error):
        return _finding(Kind.UNKNOWN, node, first.skipped or "its record is no longer complete")
    if first.same:
        return _finding(Kind.VERIFIED, node)
    if not first.error:
        # In an unchanged project, chance is the likelier explanation: it is asked twice.
        for anew in (True,) if provenance.is_inferred(node) else (True, False):
            again = yield _alone(trial, node, earlier=first.folder, anew=anew)
            if again.error or again.as_earlier is None:
                return _finding(Kind.UNKNOWN, node, again.error)
            if not again.as_earlier:
                return (yield from _chance_or_context(trial, node))
        if provenance.place(node) not in ("", first.place):
            return _finding(Kind.ELSEWHERE, node)
    up_to_here = trial.nodes[: trial.nodes.index(node) + 1]
    replay = yield _replay(trial, up_to_here, watched=node, earlier=first.folder)
    if replay.error:
        return _finding(Kind.UNKNOWN if first.error else Kind.WRONG, node, first.error)
    # With other inputs than those in the cache, a replay says nothing of this node.
    same_inputs = set(replay.differing) <= {node.name}
    if node.name not in replay.differing or (same_inputs and replay.as_earlier is not True):
        return (yield from _who_passes_on(trial, node, replay))
    return _finding(Kind.UNKNOWN if first.error else Kind.WRONG, node, first.error)


def _chance_or_context(trial: TrialRecord, node: NodeRecord) -> Procedure:
    """Of a node that is by chance by itself, find out whether it is in a whole run, too.

    It may draw random numbers from a generator that a node before it seeds.
    """
    whole = yield _replay(trial, trial.nodes, watched=node)
    again = yield _replay(trial, trial.nodes, watched=node, earlier=whole.folder, anew=True)
    if again.as_earlier and not whole.error:
        return (yield from _who_passes_on(trial, node, whole))
    return Finding(Kind.VARIES, node.name, node.key or "", value=again.value)


def _who_passes_on(trial: TrialRecord, node: NodeRecord, replay: Answer) -> Procedure:
    """Find the node after which this one returns what it does in a replay.

    Args:
        trial: The trial.
        node: The node.
        replay: What came out of it after all nodes before it.
    """
    before = [n for n in trial.nodes[: trial.nodes.index(node)] if n.has_outputs]
    for other in reversed(before):
        answer = yield _alone(trial, node, before=(other.name,), earlier=replay.folder)
        if answer.as_earlier:
            return Finding(Kind.PASSED_ON, node.name, node.key or "", others=(other.name,))
    names = tuple(n.name for n in before)
    if not names:
        return _finding(Kind.VARIES, node)
    return Finding(Kind.PASSED_ON, node.name, node.key or "", others=names)


def _finding(kind: Kind, node: NodeRecord, text: str = "") -> Finding:
    return Finding(kind, node.name, node.key or "", text)


def _alone(
    trial: TrialRecord,
    node: NodeRecord,
    *,
    before: tuple[str, ...] = (),
    earlier: str = "",
    anew: bool = False,
) -> NodeTask:
    return NodeTask(trial.params, node.name, node.key or "", node.outputs, before, earlier, anew)


def _replay(
    trial: TrialRecord,
    nodes: Sequence[NodeRecord],
    *,
    watched: NodeRecord | None = None,
    earlier: str = "",
    anew: bool = False,
) -> ReplayTask:
    expected: Mapping[str, tuple[tuple[str, int], ...]] = {n.name: n.outputs for n in nodes}
    name = "" if watched is None else watched.name
    return ReplayTask(trial.params, expected, name, earlier, anew)


def is_mixed(trial: TrialRecord) -> bool:
    """Whether a trial has both run and reused nodes."""
    states = {n.status for n in trial.nodes}
    return trial.value is not None and {NodeState.RAN, NodeState.REUSED} <= states
