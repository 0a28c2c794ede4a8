"""What the audit found wrong, noted in the store for all who share it.

A doubt is about a node's function, for names of nodes are in no key, and about what ``eeipu.yml``
says about it: who names there what the node depends on has answered the doubt.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kedro.pipeline.node import Node

from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store.notes import DOUBTS
from kedro_eeipu.cache.store.store import Store
from kedro_eeipu.config.settings import CacheSettings

__all__ = ["Doubt", "Doubts", "function_token"]


@dataclass(frozen=True)
class Doubt:
    """Why the key of a node is not enough.

    Attributes:
        reason: In words.
        never: Whether the node is never served again. Otherwise its key holds the project's world.
        unit: Where it depends on what other nodes leave behind: the functions of all of them, by
            `function_token`, sorted. They are reused together or not at all.
    """

    reason: str
    never: bool = False
    unit: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the store keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Doubt:
        """As read back."""
        return cls(
            str(stored.get("reason", "")),
            bool(stored.get("never", True)),
            tuple(map(str, stored.get("unit", ()))),
        )


class Doubts:
    """The doubts that a store has noted, as one run sees them.

    Args:
        store: The store.
        settings: What ``eeipu.yml`` says about the cache.
    """

    def __init__(self, store: Store, settings: CacheSettings) -> None:
        self._store = store
        self._settings = settings
        self._noted = store.notes.keys(DOUBTS)

    def of(self, node: Node) -> Doubt | None:
        """The doubt about a node, ``None`` where there is none."""
        if not self._noted:
            return None
        return self._noted_of(function_token(node, self._settings), self._noted)

    def note(self, doubt: Doubt, node: Node) -> None:
        """Note a doubt about one node."""
        self._put(doubt, [function_token(node, self._settings)])

    def share(self, reason: str, nodes: Iterable[Node], *, helps: bool = True) -> bool:
        """Note that nodes are reused together or not at all, for one depends on what others leave.

        Those that are in a unit with one of them already are in it, too. Where one is in doubt for
        another reason, all of them run in every trial.

        Args:
            reason: In words.
            nodes: The nodes.
            helps: Whether it is enough to reuse them together, if that was done already.

        Returns:
            Whether that is so from now on; otherwise they run in every trial.
        """
        functions = {function_token(node, self._settings) for node in nodes}
        noted = self._store.notes.keys(DOUBTS)
        earlier = [d for f in functions if (d := self._noted_of(f, noted)) is not None]
        unit = functions.union(*(doubt.unit for doubt in earlier))
        together = all(doubt.unit and (helps or set(doubt.unit) != unit) for doubt in earlier)
        self._put(Doubt(reason, not together, tuple(sorted(unit)) if together else ()), unit)
        return together

    def _put(self, doubt: Doubt, functions: Iterable[str]) -> None:
        for function in functions:
            self._store.notes.put(DOUBTS, function, doubt.to_json())

    def _noted_of(self, function: str, noted: Collection[str]) -> Doubt | None:
        stored = self._store.notes.get(DOUBTS, function) if function in noted else None
        return None if stored is None else Doubt.from_json(stored)


def function_token(node: Node, settings: CacheSettings) -> str:
    """By what a doubt knows the function of a node again after it was edited."""
    function: Any = node.func
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    named = function if hasattr(function, "__qualname__") else type(function)
    stated = settings.of_node(node.name)
    return combine(
        module=str(getattr(named, "__module__", "")),
        function=str(named.__qualname__),
        version=stated.version,
        depends_on=list(stated.depends_on),
    )
