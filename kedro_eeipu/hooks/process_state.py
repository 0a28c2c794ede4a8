"""Settings and random generators of the process, which one node can leave changed for the next.

A plain run starts in a new process; a trial starts where the one before it ended. So what is here
is put back before each trial, and looked at around each node.
"""

from __future__ import annotations

import csv
import decimal
import functools
import gc
import hashlib
import json
import locale
import logging
import os
import random
import signal
import socket
import struct
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kedro_eeipu.cache.identity.canonical import combine

__all__ = [
    "GENERATORS",
    "CarriedState",
    "NodeEffects",
    "ProcessState",
    "differences",
    "put_back",
    "seeded_generators",
    "take",
]

ProcessState = Mapping[str, Any]
_MOST_BLOCKS = 2000
_ABSENT = "the library is not loaded"


class _Part(NamedTuple):
    """Something of the process: what reads it, and what puts it back if it can be."""

    read: Callable[[], Any]
    restore: Callable[[Any], Any] | None = None


def _of_library(module: str, read: Callable[[Any], Any], restore: Any = None) -> _Part:
    """A part that is there once a library is loaded."""

    def reading() -> Any:
        loaded = sys.modules.get(module)
        return _ABSENT if loaded is None else read(loaded)

    def restoring(value: Any) -> None:
        loaded = sys.modules.get(module)
        if loaded is not None and value != _ABSENT:
            restore(loaded, value)

    return _Part(reading, restoring if restore else None)


def _decimal() -> tuple[Any, ...]:
    context = decimal.getcontext()
    traps = tuple(sorted(s.__name__ for s, on in context.traps.items() if on))
    return context.prec, context.rounding, context.Emin, context.Emax, context.capitals, traps


def _restore_decimal(value: tuple[Any, ...]) -> None:
    context = decimal.getcontext()
    context.prec, context.rounding, context.Emin, context.Emax, context.capitals, traps = value
    for kind in context.traps:
        context.traps[kind] = kind.__name__ in traps


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _restore_environment(value: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(value):
        del os.environ[name]
    os.environ.update(value)


def _loggers() -> dict[str, Any]:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    return {
        log.name: (log.level, log.disabled, log.propagate, tuple(map(id, log.handlers)))
        for log in loggers
        if isinstance(log, logging.Logger)
    }


def _signals() -> list[Any]:
    return [signal.getsignal(s) for s in sorted(signal.valid_signals())]


def _encoder() -> str:
    return f"{json.JSONEncoder.default!r} {json._default_encoder!r}"  # type: ignore[attr-defined]


def _dialects() -> dict[str, Any]:
    return {
        name: [getattr(csv.get_dialect(name), a) for a in ("delimiter", "quotechar", "quoting")]
        for name in csv.list_dialects()
    }


def _torch_settings(torch: Any) -> tuple[Any, ...]:
    return (
        str(torch.get_default_dtype()),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
    )


def _restore_torch_settings(torch: Any, value: tuple[Any, ...]) -> None:
    dtype, grad, deterministic, threads = value
    torch.set_default_dtype(getattr(torch, dtype.removeprefix("torch.")))
    torch.set_grad_enabled(grad)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)


def _random_state() -> list[Any]:
    version, words, gauss = random.getstate()
    return [version, list(words), gauss]


def _restore_random(value: list[Any]) -> None:
    version, words, gauss = value
    random.setstate((version, tuple(words), gauss))


def _numpy_state(numpy: Any) -> list[Any]:
    kind, words, position, has_gauss, gauss = numpy.random.get_state()
    return [str(kind), words.tobytes().hex(), int(position), int(has_gauss), float(gauss)]


def _restore_numpy(numpy: Any, value: list[Any]) -> None:
    kind, words, *rest = value
    numpy.random.set_state((kind, numpy.frombuffer(bytes.fromhex(words), dtype="uint32"), *rest))


def _torch_state(torch: Any) -> str:
    return str(torch.get_rng_state().numpy().tobytes().hex())


def _restore_torch(torch: Any, value: str) -> None:
    torch.set_rng_state(torch.frombuffer(bytearray.fromhex(value), dtype=torch.uint8))


_SETTINGS: dict[str, _Part] = {
    "the decimal context": _Part(_decimal, _restore_decimal),
    "the environment variables": _Part(lambda: dict(os.environ), _restore_environment),
    "the working directory": _Part(os.getcwd, os.chdir),
    "the file mode mask": _Part(_umask, os.umask),
    "sys.path": _Part(lambda: list(sys.path), lambda v: sys.path.__setitem__(slice(None), v)),
    "the recursion limit": _Part(sys.getrecursionlimit, sys.setrecursionlimit),
    "the thresholds of the garbage collector": _Part(
        gc.get_threshold, lambda v: gc.set_threshold(*v)
    ),
    "the locale": _Part(
        lambda: locale.setlocale(locale.LC_ALL), lambda v: locale.setlocale(locale.LC_ALL, v)
    ),
    "the filters of warnings": _Part(
        lambda: [repr(f) for f in warnings.filters[:50]],
    ),
    "the timeout of sockets": _Part(socket.getdefaulttimeout, socket.setdefaulttimeout),
    "signal handlers": _Part(_signals),
    "levels and handlers of loggers": _Part(_loggers),
    "the default encoder of json": _Part(_encoder),
    "dialects of csv": _Part(_dialects),
    "types of files in mimetypes": _of_library(
        "mimetypes", lambda m: (dict(m.types_map), dict(m.suffix_map))
    ),
    "numpy's handling of errors": _of_library(
        "numpy", lambda np: np.geterr(), lambda np, v: np.seterr(**v)
    ),
    "numpy's print options": _of_library(
        "numpy",
        lambda np: np.get_printoptions(),
        lambda np, v: np.set_printoptions(**{k: w for k, w in v.items() if k != "override_repr"}),
    ),
    "pandas' options": _of_library("pandas._config.config", lambda c: repr(c._global_config)),
    "sklearn's configuration": _of_library(
        "sklearn", lambda s: s.get_config(), lambda s, v: s.set_config(**v)
    ),
    "torch's settings": _of_library("torch", _torch_settings, _restore_torch_settings),
    "dask's configuration": _of_library("dask.config", lambda d: repr(d.config)),
    "matplotlib's parameters": _of_library("matplotlib", lambda m: repr(dict.items(m.rcParams))),
}
GENERATORS: dict[str, _Part] = {
    "Python's random generator": _Part(_random_state, _restore_random),
    "numpy's random generator": _of_library("numpy", _numpy_state, _restore_numpy),
    "torch's random generator": _of_library("torch", _torch_state, _restore_torch),
}
_PARTS = {**_SETTINGS, **GENERATORS}
_SEEDERS = {
    "Python's random generator": ("random", "seed"),
    "numpy's random generator": ("numpy.random", "seed"),
    "torch's random generator": ("torch", "manual_seed"),
}
_SEEDING = "seedings of "
_seedings: dict[str, int] = {}
_counted: set[str] = set()
# Libraries change these when they are imported, as they are inside of a node.
_OF_IMPORTS = frozenset(
    {
        *("the environment variables", "the filters of warnings", "levels and handlers of loggers"),
        *("signal handlers", "types of files in mimetypes", "sys.path", "dask's configuration"),
        *("matplotlib's parameters", "pandas' options", "dialects of csv"),
    }
)


def _count_seedings() -> None:
    """Let the functions that seed a generator count their calls from now on.

    Of two nodes that seed with one number, the second would otherwise look as if it went on from
    where the first one ended.
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
    """The state of the process now; what cannot be read is left out."""
    _count_seedings()
    state: dict[str, Any] = {"modules": len(sys.modules), **_seedings}
    for name, part in _PARTS.items():
        try:
            state[name] = part.read()
        except Exception:
            continue
    return state


def put_back(state: ProcessState) -> None:
    """Restore what can be restored, as far as it differs."""
    for name, value in state.items():
        part = _PARTS.get(name)
        if part is None or part.restore is None:
            continue
        try:
            if part.read() != value:
                part.restore(value)
        except Exception:
            continue


def differences(before: ProcessState, after: ProcessState) -> set[str]:
    """What has changed, in words; of what was not there before, nothing is said.

    Where modules were imported meanwhile, what imports change is left out.
    """
    passed_over = _OF_IMPORTS if before.get("modules") != after.get("modules") else frozenset()
    changed = set()
    for name, value in before.items():
        if name not in _PARTS or name in passed_over or value == _ABSENT or name not in after:
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
        left: States of seeded generators that it moved, by name; they can be written as JSON.
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
        seeded: Generators that have been seeded by now.
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
        drawn = {name for name in draws if name in seeded and name in state}
        parts = {**self._changed, **{name: _digest(state[name]) for name in sorted(drawn)}}
        return combine(state=parts) if parts else ""

    def effects(self, before: ProcessState, after: ProcessState) -> NodeEffects:
        """What a node that has just run did to the process."""
        changed = differences(before, after)
        self._changed.update((n, _digest(after[n])) for n in sorted(changed - set(GENERATORS)))
        moved = changed & set(GENERATORS)
        draws = {
            n
            for n in moved
            if before.get(_SEEDING + n) == after.get(_SEEDING + n)
            and _continues(n, before[n], after[n])
        }
        self.seeded |= moved - draws
        left = {n: after[n] for n in sorted(moved & self.seeded)}
        return NodeEffects(frozenset(changed - moved), tuple(sorted(draws)), left)

    def resume(self, left: Mapping[str, Any]) -> None:
        """Leave generators as a node did that is served now."""
        for name, state in left.items():
            restore = GENERATORS[name].restore if name in GENERATORS else None
            if restore is not None:
                restore(state)
                self.seeded.add(name)


def seeded_generators(before: ProcessState, after: ProcessState) -> frozenset[str]:
    """Generators that were seeded meanwhile.

    One that only went on is none: threads of a library may draw from it. Of one that was not there
    before, nothing is said.
    """
    return frozenset(
        n
        for n in GENERATORS
        if before.get(n, _ABSENT) != _ABSENT
        and before[n] != after[n]
        and not _continues(n, before[n], after[n])
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()


def _continues(name: str, before: Any, after: Any) -> bool:
    """Whether a generator went on from its state, rather than being seeded.

    All three are Mersenne twisters, which make their 624 words anew after so many draws. The
    words that follow are looked through for those that are there now; whoever draws more than
    a million numbers is taken for one that seeds.
    """
    sought = _words(name, after)
    if _words(name, before) == sought:
        return True
    twister = _twister(_words(name, before))
    for _ in range(_MOST_BLOCKS):
        twister.bytes(4 * 624)
        if twister.get_state()[1].tobytes() == sought:
            return True
    return False


def _words(name: str, state: Any) -> bytes:
    """The 624 words of a generator."""
    if name.startswith("numpy"):
        return bytes.fromhex(state[1])
    if name.startswith("torch"):
        # The seed, two counts and the next position, then a word in eight bytes each.
        words = struct.unpack_from("<624Q", bytes.fromhex(state), 24)
        return struct.pack("<624I", *words)
    return struct.pack("<624I", *state[1][:624])


def _twister(words: bytes) -> Any:
    """A twister of numpy's with these words, all of which are used up."""
    import numpy

    twister = numpy.random.RandomState(0)
    twister.set_state(("MT19937", numpy.frombuffer(words, dtype="uint32"), 624, 0, 0.0))
    return twister
