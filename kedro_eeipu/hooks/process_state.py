"""Settings and random generators of the process, which one node can leave changed for the next.

A plain run starts in a new process; a trial starts where the one before it ended. So what is here
is put back before each trial, and looked at around each node.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.hooks.dataset import warn_once
from kedro_eeipu.hooks.process_parts import ABSENT, MODULES, OF_IMPORTS, SETTINGS, THREADS
from kedro_eeipu.hooks.random_generators import GENERATORS, continues

__all__ = [
    "CarriedState",
    "NodeEffects",
    "ProcessState",
    "cannot_be_restored",
    "differences",
    "forget",
    "put_back",
    "seeded_generators",
    "take",
]

ProcessState = Mapping[str, Any]
_PARTS = {**SETTINGS, **THREADS, **GENERATORS}
_SEEDERS = {
    "Python's random generator": ("random", "seed"),
    "numpy's random generator": ("numpy.random", "seed"),
    "torch's random generator": ("torch", "manual_seed"),
}
_SEEDING = "seedings of "
_seedings: dict[str, int] = {}
# Settings that nodes of this process were seen to change, by node. What a node sets to what it is
# already, because an earlier trial has left it so, cannot be seen.
_changers: dict[str, set[str]] = {}
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
    return sorted(n for n in settings if n in SETTINGS and SETTINGS[n].restore is None)


def forget() -> None:
    """Forget which nodes change settings, for code of another project."""
    _changers.clear()


def put_back(state: ProcessState) -> None:
    """Restore what can be restored, as far as it differs."""
    for name, value in state.items():
        part = _PARTS.get(name)
        if part is None or part.restore is None:
            continue
        try:
            if part.read() != value:
                part.restore(value)
        except Exception as error:
            warn_once(
                "%s cannot be put back, so values may differ from those of plain runs: %s",
                name[:1].upper() + name[1:],
                error,
            )


def differences(before: ProcessState, after: ProcessState) -> set[str]:
    """What has changed, in words; of what was not there before, nothing is said.

    Where modules were imported meanwhile, what imports change is left out.
    """
    passed_over = OF_IMPORTS if before.get("modules") != after.get("modules") else frozenset()
    changed = set()
    for name, value in before.items():
        if name not in _PARTS or name in passed_over or value == ABSENT or name not in after:
            continue
        if name == "levels and handlers of loggers":
            if any(after[name].get(log, was) != was for log, was in value.items()):
                changed.add(name)
        elif after[name] != value:
            changed.add(name)
    return changed


class NodeEffects(NamedTuple):
    """What a node did to the process.

    Attributes:
        settings: What it has changed, in words.
        draws: Generators that it drew from without seeding them.
        left: States of seeded generators that it moved, and the number of threads if it has set
            that, by name; they can be written as JSON.
    """

    settings: frozenset[str]
    draws: tuple[str, ...]
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
        seeded: Generators that have been seeded so far; and threads, if their number was set.
        resumed: Names of the served nodes whose effects have been had.
    """

    def __init__(self, start: ProcessState | None = None, seeded: Iterable[str] = ()) -> None:
        self.now = take()
        self._changed: dict[str, str] = {}  # settings that nodes have changed
        by_hooks = GENERATORS if start is None else seeded_generators(start, self.now)
        self.seeded = {*seeded, *by_hooks}
        self.resumed: set[str] = set()

    def token(self, draws: Iterable[str], state: ProcessState, seeded: set[str]) -> str:
        """What a node's value depends on besides its key; empty where there is nothing.

        Args:
            draws: Generators that it draws from without seeding them.
            state: The state in which it begins.
            seeded: Generators that have been seeded by then.
        """
        drawn = {name for name in {*draws, *THREADS} if name in seeded and name in state}
        parts = {**self._changed, **{name: _digest(state[name]) for name in sorted(drawn)}}
        return combine(state=parts) if parts else ""

    def effects(self, node: str, before: ProcessState, after: ProcessState) -> NodeEffects:
        """What a node that has just run did to the process."""
        changed = differences(before, after)
        settings = _changers.setdefault(node, set())
        settings |= changed - set(GENERATORS) - set(THREADS)
        changed |= settings
        self._changed.update((n, _digest(after[n])) for n in sorted(settings))
        moved = changed & set(GENERATORS)
        draws = {
            n
            for n in moved
            if before.get(_SEEDING + n) == after.get(_SEEDING + n)
            and continues(n, before[n], after[n])
        }
        threads = changed & set(THREADS)
        self.seeded |= moved - draws | threads
        left = {n: after[n] for n in sorted(moved & self.seeded | threads)}
        return NodeEffects(frozenset(changed - moved - threads), tuple(sorted(draws)), left)

    def resume(self, node: str, left: Mapping[str, Any]) -> None:
        """Leave generators, and the number of threads, as a node did that is served now."""
        self.resumed.add(node)
        for name, state in left.items():
            if name in THREADS:
                importlib.import_module("torch")  # as the node has done
            part = {**GENERATORS, **THREADS}.get(name)
            if part is not None and part.restore is not None:
                part.restore(state)
                self.seeded.add(name)


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
