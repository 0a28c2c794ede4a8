"""Nodes that are reused together or not at all: one depends on what another leaves behind.

They are a unit. The key of each but the first holds the key of the one before it, so that a record
is only used where the nodes before left the same. And where one of them must run, all of them do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store.store import Blob
from kedro_eeipu.hooks.action import NodeAction

__all__ = ["UnitAction", "latest_of", "split_units"]


class UnitAction(NodeAction):
    """The action of a node of a unit; see `NodeAction`.

    Attributes:
        unit: By what the unit is known.
        after: The node of the unit that runs before this one, ``None`` for the first.
    """

    after: UnitAction | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What the nodes before left is not in another process, so nothing is known there.
        state = {**super().__getstate__(), "after": None}
        if self.after is not None:
            state["identity"] = None
        return state

    def key(self) -> str | None:
        """The node's key, ``None`` while that of the node before it is not known."""
        key = super().key()
        if key is None or self.after is None:
            return key
        before = self.after.key()
        return None if before is None else combine(key=key, after=before)

    def parts(self) -> dict[str, str]:
        """What the key is made of, shortened; see `NodeAction.parts`."""
        parts = super().parts()
        if parts and self.after is not None:
            parts[self.part] = (self.after.key() or "")[:12]
        return parts

    @property
    def part(self) -> str:
        """Name of the part that stands for the nodes before it; empty for the first."""
        return "" if self.after is None else f"what {self.after.node.name} leaves behind"

    def recipe(self, name: str, value: Any) -> Blob | str:
        """What stands for an output of which there are no bytes; see `NodeAction.recipe`."""
        if self.after is not None:
            return f"it depends on what {self.after.node.name} leaves behind"
        return super().recipe(name, value)

    def _served_late(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Nothing: whether the unit is served was decided for all of it."""
        return None

    def _computed_again(self) -> dict[str, Any]:
        for action in reversed(list(self._before())):
            node = action.node
            node.run({name: self.catalog.load(name) for name in node.inputs})
        return super()._computed_again()

    def _before(self) -> Iterable[UnitAction]:
        action = self.after
        while action is not None:
            yield action
            action = action.after


def latest_of(unit: tuple[str, ...], actions: Mapping[str, NodeAction]) -> UnitAction | None:
    """The last node of a unit among these, ``None`` if there is none yet."""
    for action in reversed(list(actions.values())):
        if isinstance(action, UnitAction) and action.unit == unit:
            return action
    return None


def split_units(actions: Mapping[str, NodeAction], served: set[str]) -> set[str]:
    """Served nodes of units of which another node is not served."""
    units = {n: a.unit for n, a in actions.items() if isinstance(a, UnitAction)}
    torn = {unit for name, unit in units.items() if name not in served}
    return {name for name, unit in units.items() if unit in torn and name in served}
