"""Settings and random generators of the process, which one node can leave changed for the next.

A plain run starts in a new process; a trial starts where the one before it ended. So what is here
is put back before each trial, and looked at around each node.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kedro_eeipu.config.redaction import Redactor
from kedro_eeipu.hooks.dataset import warn_once
from kedro_eeipu.hooks.library_settings import LIBRARY_SETTINGS
from kedro_eeipu.hooks.process_parts import (
    ABSENT,
    MODULES,
    OF_IMPORTS,
    SETTINGS,
    may_be_recorded,
)
from kedro_eeipu.hooks.random_generators import GENERATORS, continues

__all__ = [
    "Beginning",
    "CarriedState",
    "NodeEffects",
    "ProcessState",
    "cannot_be_restored",
    "changes_settings",
    "differences",
    "forget",
    "put_back",
    "seeded_generators",
    "take",
]

ProcessState = Mapping[str, Any]
_PARTS = {**SETTINGS, **LIBRARY_SETTINGS, **GENERATORS}
_SEEDERS = {
    "Python's random generator": ("random", "seed"),
    "numpy's random generator": ("numpy.random", "seed"),
    "torch's random generator": ("torch", "manual_seed"),
}
_SEEDING = "seedings of "
_seedings: dict[str, int] = {}
# What nodes of this process were seen to change: by node and setting, the names in it. What a node
# sets to what it is already cannot be seen.
_changers: dict[str, dict[str, set[str]]] = {}
# What nodes have changed since the settings were last put back, as it was before.
_undone: dict[str, Any] = {}
_ENVIRONMENT = "the environment variables"
_ALL = "*"  # stands for a setting as a whole
_counted: set[str] = set()


def _count_seedings() -> None:
    """Let the functions that seed a generator count their calls from now on.

    Of two nodes that seed with one number, the second would otherwise look as if it went on from
    where the first one ended.

    The function that counts is part of what a node reaches that seeds, so its module and name are
    in that node's key: it stays here.
    """
    for name, (module_name, attribute) in _SEEDERS.items():
        module = sys.modules.get(module_name)
        if module is None or name in _counted:
            continue
        _counted.add(name)
        seed = getattr(module, attribute)

        @functools.wraps(seed)
        def counting(*args: Any, _seed: Any = seed, _name: str = name, **kwargs: Any) -> Any:
            _seedings[_SEEDING + _name] = _seedings.get(_SEEDING + _name, 0) + 1
            return _seed(*args, **kwargs)

        setattr(module, attribute, counting)


def take() -> dict[str, Any]:
    """The state of the process now; what cannot be read is left out, which the user is told."""
    _count_seedings()
    state: dict[str, Any] = {"modules": MODULES.imported(), **_seedings}
    for name, part in _PARTS.items():
        try:
            state[name] = part.read()
        except Exception as error:
            warn_once(
                "What nodes change in %s is not seen, since it cannot be read: %s", name, error
            )
    return state


def cannot_be_restored(settings: Iterable[str]) -> list[str]:
    """Those settings that stay in the process as a node has left them, from trial to trial."""
    return sorted(name for name in settings if _PARTS[name].restore is None)


def changes_settings(node: str) -> bool:
    """Whether a node of this name was seen to change settings in this process."""
    return bool(_changers.get(node))


def forget() -> None:
    """Forget which nodes change settings, and undo it, for code of another project."""
    put_back(dict.fromkeys(_undone, ABSENT))
    _changers.clear()


def put_back(state: ProcessState) -> None:
    """Restore what can be restored, as far as it differs."""
    for name, value in state.items():
        part = _PARTS.get(name)
        if part is None or part.restore is None:
            continue
        if value == ABSENT or not part.is_ours:
            value = _undone.get(name, ABSENT)
        try:
            if value != ABSENT and part.read() != value:
                part.restore(value)
        except Exception as error:
            warn_once(
                "%s cannot be put back, so values may differ from those of plain runs: %s",
                name[:1].upper() + name[1:],
                error,
            )
    _undone.clear()


def differences(before: ProcessState, after: ProcessState) -> set[str]:
    """What has changed, in words; of what was not there before, nothing is said.

    Where modules were imported meanwhile, what imports change is left out.
    """
    passed_over = _by_imports(before, after)
    return {name for name in _changed(before, after) if name not in passed_over}


def _by_imports(before: ProcessState, after: ProcessState) -> frozenset[str]:
    """What imports may have changed: nothing where there were none."""
    return OF_IMPORTS if before.get("modules") != after.get("modules") else frozenset()


def _changed(before: ProcessState, after: ProcessState) -> dict[str, dict[str, Any] | None]:
    """What has changed, each with what is to be set again for that; ``None`` if that is unknown."""
    changed: dict[str, dict[str, Any] | None] = {}
    for name, value in before.items():
        if name not in _PARTS or value == ABSENT or name not in after or after[name] == value:
            continue
        changes = _PARTS[name].changes
        items = changes(value, after[name]) if changes is not None else None
        is_same = items == {}
        if name == "handlers of loggers":  # those of new loggers do not count
            is_same = all(after[name].get(log, was) == was for log, was in value.items())
        if not is_same:
            changed[name] = items
    return changed


def _can_be_told(setting: str, name: str, value: Any) -> bool:
    """Whether a record may hold one of the values of a setting, and another process set it."""
    try:
        if json.loads(json.dumps(value, allow_nan=False)) != value:
            return False
    except (TypeError, ValueError):
        return False
    if setting != _ENVIRONMENT or value is None:
        return True
    is_private = not may_be_recorded(name) or Redactor().text(value) != value
    return not is_private and not value.startswith(tempfile.gettempdir())


@dataclass
class Beginning:
    """The process in which a node begins, as far as that is known.

    Attributes:
        state: Settings and random generators.
        seeded: Generators that have been seeded by then.
        settings: What nodes before have changed in each setting, by name.
    """

    state: dict[str, Any]
    seeded: set[str]
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def leave(self, left: Mapping[str, Any]) -> None:
        """Count what a node before leaves behind."""
        for name, value in left.items():
            if name in GENERATORS:
                self.state[name] = value
                self.seeded.add(name)
                continue
            self.settings.setdefault(name, {}).update(value)
            if isinstance(self.state.get(name), Mapping):
                self.state[name] = {**self.state[name], **value}

    def parts(self, draws: Iterable[str], found: Mapping[str, Iterable[str]]) -> dict[str, str]:
        """Digests of what a node's value depends on besides its key, by name.

        Args:
            draws: Generators that it draws from without seeding them.
            found: What it changes in each setting: it may depend on what it has found there.
        """
        parts = {name: _digest(sorted(items.items())) for name, items in self.settings.items()}
        for name in {*draws} & self.seeded & self.state.keys():
            parts[name] = _digest(self.state[name])
        for setting, names in found.items():
            was = self.state.get(setting)
            if isinstance(was, Mapping):
                now = [was.get(name) for name in sorted(names)]
                parts[setting] = _digest([parts.get(setting), now])
        return parts


class NodeEffects(NamedTuple):
    """What a node did to the process.

    Attributes:
        settings: What it has changed and a node that is reused could not change, in words.
        draws: Generators that it drew from without seeding them.
        found: What it has changed in other settings, by name.
        left: States of seeded generators that it moved, and what it has left in the settings of
            ``found`` and others; they can be written as JSON.
    """

    settings: frozenset[str]
    draws: tuple[str, ...]
    found: dict[str, list[str]]
    left: dict[str, Any]


class CarriedState:
    """What the nodes of one run leave in the process for those after them.

    A generator counts once something has seeded it: before, what is drawn from it is by chance in
    a plain run, too. Settings count where a node has changed them.

    Args:
        start: The state in which the run began, before hooks were called; ``None`` if that is not
            known, so that hooks may have seeded all generators.
        seeded: Generators that were seeded before.

    Attributes:
        now: The state in which the first node begins.
        resumed: Names of the served nodes whose effects have been had.
    """

    def __init__(self, start: ProcessState | None = None, seeded: Iterable[str] = ()) -> None:
        self.now = take()
        by_hooks = GENERATORS if start is None else seeded_generators(start, self.now)
        self._so_far = Beginning({}, {*seeded, *by_hooks})
        self.resumed: set[str] = set()
        self._running: set[str] = set()
        self._overlapping: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        # A process of Kedro's ParallelRunner has its own settings and generators.
        return {**self.__dict__, "now": {}}

    def beginning(self, state: ProcessState | None = None) -> Beginning:
        """What a node finds that begins in this state, by default that of now."""
        settings = {name: dict(items) for name, items in self._so_far.settings.items()}
        state = take() if state is None else state
        return Beginning(dict(state), set(self._so_far.seeded), settings)

    def begin(self, node: str) -> Beginning:
        """What a node finds that is about to be called."""
        self._running.add(node)
        if len(self._running) > 1:  # in threads, as Kedro's ThreadRunner calls them
            self._overlapping |= self._running
        return self.beginning()

    def effects(self, node: str, before: ProcessState, after: ProcessState) -> NodeEffects:
        """What a node that has just run did to the process.

        What it or another one has changed that ran at the same time is nobody's.
        """
        self._running.discard(node)
        changed = _changed(before, after)
        moved = changed.keys() & GENERATORS.keys()
        draws = {
            n
            for n in moved
            if before.get(_SEEDING + n) == after.get(_SEEDING + n)
            and continues(n, before[n], after[n])
        }
        self._so_far.seeded |= moved - draws
        left = {n: after[n] for n in sorted(moved & self._so_far.seeded)}
        opaque, settings = _of_settings(node, changed, before, after)
        if node in self._overlapping:
            opaque, left, settings = opaque | left.keys() | settings.keys(), {}, {}
        for name in opaque:
            self._so_far.settings[name] = {_ALL: _digest(after[name])}
        self._so_far.leave(settings)
        found = {n: sorted(i) for n, i in settings.items() if isinstance(before[n], Mapping)}
        return NodeEffects(frozenset(opaque), tuple(sorted(draws)), found, {**left, **settings})

    def resume(self, node: str, left: Mapping[str, Any]) -> None:
        """Leave generators and settings as a node did that is served now."""
        self.resumed.add(node)
        for name, value in left.items():
            part = _PARTS.get(name)
            if part is None:
                continue
            try:
                if name in GENERATORS and part.restore is not None:
                    part.restore(value)
                elif part.change is not None:
                    part.change({})  # a library is imported, as the node has done
                    _undone.setdefault(name, part.read())
                    part.change(value)
            except Exception as error:
                warn_once(f"%s is reused, but cannot change {name} again: %s", node, error)
        self._so_far.leave(left)


def _of_settings(
    node: str,
    changed: Mapping[str, dict[str, Any] | None],
    before: ProcessState,
    after: ProcessState,
) -> tuple[set[str], dict[str, dict[str, Any]]]:
    """What a node has changed for good, in words, and what can be changed as it did, by setting.

    While modules were imported, changes count that can be told, except of what is new: libraries
    add options and loggers. Variables that they set are as good as the node's.
    """
    opaque, told = set[str](), dict[str, dict[str, Any]]()
    by_imports, known = _by_imports(before, after), _changers.get(node, {})
    for name in sorted((changed.keys() | known.keys()) - GENERATORS.keys()):
        if before.get(name, ABSENT) == ABSENT or name not in after:
            continue
        items = changed.get(name, {})
        also = {}
        if name in by_imports and isinstance(before[name], Mapping):
            also = {
                n: v
                for n, v in (items or {}).items()
                if (n in before[name] or name == _ENVIRONMENT) and _can_be_told(name, n, v)
            }
        if name in by_imports and name not in known:
            if also:
                told[name] = also
                _undone.setdefault(name, before[name])
            continue
        if name in changed:
            _undone.setdefault(name, before[name])
        seen = _changers.setdefault(node, {}).setdefault(name, set())
        if name not in by_imports:
            seen.update([_ALL] if items is None else items)
        if isinstance(after[name], Mapping) and _ALL not in seen:
            items = {**also, **{n: after[name].get(n) for n in sorted(seen)}}
        if items is None or _ALL in seen or not all(_can_be_told(name, *i) for i in items.items()):
            opaque.add(name)
        elif items:
            told[name] = items
    return opaque, told


def seeded_generators(before: ProcessState, after: ProcessState) -> frozenset[str]:
    """Generators that were seeded meanwhile.

    One that only went on is none: threads of a library may draw from it. Of one that was not there
    before, nothing is said.
    """
    return frozenset(
        n
        for n in GENERATORS
        if before.get(n, ABSENT) != ABSENT
        and before[n] != after[n]
        and not continues(n, before[n], after[n])
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()
