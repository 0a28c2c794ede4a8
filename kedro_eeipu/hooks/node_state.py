"""The state in which a node begins, what it leaves in the process, and its key in that state.

The state is that of the process, and of the files of the project that its function opens by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store.store import Record, Store
from kedro_eeipu.hooks.dataset import warn_once
from kedro_eeipu.hooks.key import key_in_state
from kedro_eeipu.hooks.opened_files import file_parts
from kedro_eeipu.hooks.process_state import (
    Beginning,
    CarriedState,
    NodeEffects,
    ProcessState,
    cannot_be_restored,
    differences,
    put_back,
    take,
)
from kedro_eeipu.hooks.random_generators import GENERATORS
from kedro_eeipu.states import FILE_PART, STATE_PART

__all__ = ["StateOfNode"]


class StateOfNode:
    """What one node of one run finds in the process, and what it leaves.

    Args:
        node: Name of the node.
        carried: What the nodes of the run leave in the process for each other, ``None`` where that
            is not followed.
        project: The folder of the project.

    Attributes:
        effects: What the node did to the process, once it has run.
        files: Tokens of the files that it has opened by itself, by the name of the part.
    """

    def __init__(self, node: str, carried: CarriedState | None, project: Path) -> None:
        self._node = node
        self._carried = carried
        self._project = project
        self._began = Beginning({}, set())
        self._after: ProcessState = {}
        self._parts: dict[str, str] = {}
        self._is_apart = False
        self.effects: NodeEffects | None = None
        self.files: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_is_apart": True}

    def begin(self) -> None:
        """Take note of the state in which the node begins."""
        if self._carried is not None:
            self._began = self._carried.begin(self._node)

    def end(self) -> str:
        """Take note of what the node has done; why it is not to be recorded, or nothing."""
        if self._carried is None:
            return ""
        self._carried.resumed.add(self._node)
        self._after = take()
        self.effects = self._carried.effects(self._node, self._began.state, self._after)
        if self._is_apart:  # in a process of Kedro's ParallelRunner, which gets another node next
            put_back(self._began.state)
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
        return bool(self.effects.draws or self.effects.left.keys() & GENERATORS.keys())

    def find(
        self, store: Store, key: str, begins: Beginning | None, *, is_certain: bool
    ) -> Record | None:
        """The record of the node if it begins in this state.

        Args:
            store: Where records are.
            key: The key of the node.
            begins: The process in which it begins, ``None`` where that is not followed.
            is_certain: Whether it will be in this state.
        """
        record = store.get(key)
        on = _depends_on({} if record is None else record.meta)
        if any(on) and not is_certain:
            return None
        self.files = file_parts(self._project, on.opened)
        if self._carried is not None and begins is not None:
            self._parts = begins.parts(on.draws, on.found)
        elif on.draws or on.found:
            return record
        return store.get(self._in_state(key)) if self._parts or self.files else record

    def find_now(self, store: Store, key: str) -> Record | None:
        """The record of the node if it begins now."""
        begins = None if self._carried is None else self._carried.beginning()
        return self.find(store, key, begins, is_certain=True)

    def key_of_record(self, key: str) -> str:
        """The key under which a record is found in the state in which the node began."""
        if self._carried is not None and self.effects is not None:
            self._parts = self._began.parts(self.effects.draws, self.effects.found)
        return self._in_state(key) if self._parts or self.files else key

    def _in_state(self, key: str) -> str:
        return key_in_state(key, combine(state={**self._parts, **self.files}))

    def parts(self) -> dict[str, str]:
        """What the key of its record is made of besides its key, to tell why two runs differ."""
        state = {f"{STATE_PART}{name}": digest for name, digest in self._parts.items()}
        return {name: digest[:12] for name, digest in {**state, **self.files}.items()}

    def meta(self) -> dict[str, Any]:
        """What the record says about random generators and settings."""
        left = {} if self.effects is None else {"left": self.effects.left}
        return {**self.key_meta(), **left}

    def key_meta(self) -> dict[str, Any]:
        """What says on which parts of the state its value depends; empty for none."""
        parts: dict[str, Any] = {"opened": [p.removeprefix(FILE_PART) for p in self.files]}
        if self.effects is not None:
            parts |= {"draws": list(self.effects.draws), "found": self.effects.found}
        return {name: part for name, part in parts.items() if part}

    def resume(self, record: Record) -> None:
        """Leave generators and settings as the node did when its record was made."""
        if self._carried is not None and self._node not in self._carried.resumed:
            self._carried.resume(self._node, left_by(record))


class _DependsOn(NamedTuple):
    """On which parts of the state the value of a node depends, as the record at its key says."""

    draws: Sequence[str]
    found: Mapping[str, Sequence[str]]
    opened: Sequence[str]


def _depends_on(meta: Mapping[str, Any]) -> _DependsOn:
    return _DependsOn(meta.get("draws", ()), meta.get("found", {}), meta.get("opened", ()))


def left_by(record: Record) -> Mapping[str, Any]:
    """The states of random generators, and the settings, that the node of a record leaves."""
    left: Mapping[str, Any] = record.meta.get("left", {})
    return left
