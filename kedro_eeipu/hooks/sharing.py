"""Which nodes are not recorded because nodes pass on something else than their outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from kedro.pipeline.node import Node

from kedro_eeipu.cache.identity.code import CodeIdentity
from kedro_eeipu.hooks.dataset import MemoizedDataset, warn_once
from kedro_eeipu.hooks.doubts import Doubts
from kedro_eeipu.hooks.found_by_itself import Opened, warn_of_files
from kedro_eeipu.hooks.key import Identity
from kedro_eeipu.hooks.recipes import code_with_sources
from kedro_eeipu.hooks.shared_state import changed, is_noted, note

__all__ = [
    "bypass_what_shares_files",
    "bypass_what_shares_inputs",
    "bypass_what_shares_state",
    "bypass_what_was_changed",
]


class Action(Protocol):
    """One node of one run, as far as it matters here."""

    node: Node
    identity: Identity | None
    inputs: Mapping[str, Any]
    unit: tuple[str, ...]

    @property
    def is_decided(self) -> bool:
        """Whether the node was served, or looked up its key: what it reads is then settled."""

    def bypass(self, reason: str) -> None:
        """Neither look up nor record this node in this run."""

    def reachable(self, candidates: set[str]) -> set[str]:
        """Which of these names the node's code reaches; all if that is unknown."""


def bypass_what_was_changed(action: Action, now: CodeIdentity | None) -> None:
    """Do not record a node if something that it reaches has changed since the run began."""
    planned = action.identity.code if action.identity else None
    planned = code_with_sources(planned, action.inputs, now=False)
    changes = changed(planned, now, with_caches=False)
    if changes:
        reason = f"{min(changes)}, which it uses, was changed during the run"
        action.bypass(reason)
        if not is_noted(changes):  # else the user has been told, by the node that changed it
            note(changes)
            _warn(action, reason)


def bypass_what_shares_state(
    action: Action,
    peers: Iterable[Action],
    before: CodeIdentity | None,
    after: CodeIdentity | None,
) -> None:
    """Record neither a node that has run nor those that reach something which it has changed.

    They pass on something else than their outputs: a hit of the one would change what the others
    do, those that are never cached among them. And what a node leaves behind stays in the
    process from trial to trial, which the user is told.

    Args:
        action: The node.
        peers: All nodes of the run.
        before: What the node reached before it ran.
        after: What it reaches now.
    """
    changes = changed(before, after)
    if not changes:
        return
    note(changes)
    reason = f"it changes {min(changes)}, which stays changed in the process"
    for other in peers:
        shared = set() if other is action else other.reachable(changes)
        if not shared:
            continue
        reason = f"nodes pass on values in {min(shared)}, a global variable or what it holds"
        if other.identity and not other.is_decided:
            other.bypass(reason)
    if action.identity:
        action.bypass(reason)
    _warn(action, reason)


def _warn(action: Action, reason: str) -> None:
    warn_once(
        "%s is not reused, and its value may differ from that of a plain run: %s",
        action.node.name,
        reason,
    )


def bypass_what_shares_inputs(action: Action, peers: Iterable[Action]) -> None:
    """Do not record a node that changes an input in place where another node sees it."""
    for name, dataset in action.inputs.items():
        if not isinstance(dataset, MemoizedDataset) or not dataset.look_for_changes():
            continue
        if any(name in other.inputs for other in peers if other is not action):
            action.bypass(f"it changes its input '{name}' in place, and other nodes see that")


def bypass_what_shares_files(
    action: Action, peers: Mapping[str, Action], opened: Opened, doubts: Doubts
) -> None:
    """Do not record a node that has opened what the run has changed.

    If other nodes have written it, all of them are noted as a unit for the runs to come.

    Args:
        action: The node.
        peers: All nodes of the run, by name.
        opened: The files that it has opened.
        doubts: Where the unit is noted.
    """
    writers = {name for names in opened.by_nodes.values() for name in names}
    apart = sorted(n for n in writers if not action.unit or peers[n].unit != action.unit)
    if apart:
        reason = f"it opens {min(opened.by_nodes)}, which {' and '.join(apart)} writes"
        action.bypass(reason)
        doubts.share(reason, [action.node, *(peers[name].node for name in apart)])
        warn_of_files(
            action.node.name,
            reason,
            "these nodes are reused together or not at all from now on. Pass the data on through"
            " the catalog, and each is reused by itself",
        )
    if opened.changed:
        reason = f"it opens {opened.changed[0]}, which was changed during the run"
        action.bypass(reason)
        warn_of_files(action.node.name, reason, "so its value may be of either content")
