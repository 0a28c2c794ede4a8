"""The state of the process in which a node begins, what it leaves there, and its key in that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedro_eeipu.cache.store.store import Record, Store
from kedro_eeipu.hooks.dataset import warn_once
from kedro_eeipu.hooks.key import key_in_state
from kedro_eeipu.hooks.process_parts import THREADS
from kedro_eeipu.hooks.process_state import (
    CarriedState,
    NodeEffects,
    ProcessState,
    cannot_be_restored,
    differences,
    take,
)

__all__ = ["StateOfNode"]


class StateOfNode:
    """What one node of one run finds in the process, and what it leaves.

    Args:
        node: Name of the node.
        carried: What the nodes of the run leave in the process for each other, ``None`` where that
            is not followed.

    Attributes:
        effects: What the node did to the process, once it has run.
    """

    def __init__(self, node: str, carried: CarriedState | None) -> None:
        self._node = node
        self._carried = carried
        self._before: ProcessState = {}
        self._seeded_before: set[str] = set()
        self._after: ProcessState = {}
        self.effects: NodeEffects | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Another process has its own settings and generators.
        return {**self.__dict__, "_carried": None}

    def begin(self) -> None:
        """Take note of the state in which the node begins."""
        if self._carried is not None:
            self._before = take()
            self._seeded_before = set(self._carried.seeded)

    def end(self) -> str:
        """Take note of what the node has done; why it is not to be recorded, or nothing."""
        if self._carried is None:
            return ""
        self._carried.resumed.add(self._node)
        self._after = take()
        self.effects = self._carried.effects(self._node, self._before, self._after)
        return ", ".join(sorted(self.effects.settings))

    def warn_of_what_stays(self) -> None:
        """Say which of the settings that it has changed are so in the trials after it, too."""
        settings = self.effects.settings if self.effects is not None else ()
        if left := cannot_be_restored(settings):
            warn_once(
                "%s changes %s for the trials after it, too: their values may differ from those"
                " of plain runs",
                self._node,
                ", ".join(left),
            )

    def has_moved(self) -> bool:
        """Whether something was changed since the node has ended, as saving lazy outputs may."""
        return self.effects is not None and bool(differences(self._after, take()))

    @property
    def draws(self) -> bool:
        """Whether the node has drawn random numbers, or moved a generator."""
        if self.effects is None:
            return False
        return bool(self.effects.draws or self.effects.left.keys() - THREADS.keys())

    def find(
        self, store: Store, key: str, state: ProcessState, seeded: set[str], *, is_certain: bool
    ) -> Record | None:
        """The record of the node if it begins in this state.

        Args:
            store: Where records are.
            key: The key of the node.
            state: Settings and random generators.
            seeded: Generators that have been seeded by then.
            is_certain: Whether the generators will be in this state.
        """
        record = store.get(key)
        if self._carried is None:
            return record
        draws = () if record is None else record.meta.get("draws", ())
        if draws and not is_certain:
            return None
        token = self._carried.token(draws, state, seeded)
        return store.get(key_in_state(key, token)) if token else record

    def find_now(self, store: Store, key: str) -> Record | None:
        """The record of the node if it begins now."""
        if self._carried is None:
            return store.get(key)
        return self.find(store, key, take(), self._carried.seeded, is_certain=True)

    def key_of_record(self, key: str) -> str:
        """The key under which a record is found in the state in which the node began."""
        if self._carried is None or self.effects is None:
            return key
        # Threads whose number it has set itself were not set when it began.
        seeded = self._carried.seeded - (THREADS.keys() - self._seeded_before)
        token = self._carried.token(self.effects.draws, self._before, seeded)
        return key_in_state(key, token) if token else key

    def meta(self) -> dict[str, Any]:
        """What the record says about the random generators and the number of threads."""
        if self.effects is None:
            return {}
        return {"draws": list(self.effects.draws), "left": self.effects.left}

    def resume(self, record: Record) -> None:
        """Leave generators as the node did when its record was made."""
        if self._carried is not None and self._node not in self._carried.resumed:
            self._carried.resume(self._node, left_by(record))


def left_by(record: Record) -> Mapping[str, Any]:
    """The states of random generators that the node of a record leaves, by name."""
    left: Mapping[str, Any] = record.meta.get("left", {})
    return left
