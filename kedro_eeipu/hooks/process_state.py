"""Settings and random generators of the process, which one node can leave changed for the next.

A plain run starts in a new process; a trial starts where the one before it ended. So what is here
is put back before each trial, and looked at around each node.
"""

from __future__ import annotations

import csv
import decimal
import gc
import json
import locale
import logging
import os
import random
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["GENERATORS", "ProcessState", "differences", "put_back", "take"]

ProcessState = Mapping[str, Any]


class _Part(NamedTuple):
    """Something of the process: what reads it, and what puts it back if it can be."""

    read: Callable[[], Any]
    restore: Callable[[Any], Any] | None = None


def _of_library(module: str, read: Callable[[Any], Any], restore: Any = None) -> _Part:
    """A part that is there once a library is loaded."""

    def reading() -> Any:
        loaded = sys.modules.get(module)
        return None if loaded is None else read(loaded)

    def restoring(value: Any) -> None:
        loaded = sys.modules.get(module)
        if loaded is not None and value is not None:
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
    return [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]


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


def _numpy_generator(numpy: Any) -> Any:
    kind, keys, *rest = numpy.random.get_state()
    return (kind, keys.tobytes(), *rest)


def _restore_numpy_generator(numpy: Any, value: Any) -> None:
    kind, keys, *rest = value
    numpy.random.set_state((kind, numpy.frombuffer(keys, dtype="uint32"), *rest))


def _restore_torch_generator(torch: Any, value: bytes) -> None:
    torch.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))


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
        lambda: [f[:1] + f[2:3] for f in warnings.filters[:50]],
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
    "torch's settings": _of_library("torch", _torch_settings),
    "dask's configuration": _of_library("dask.config", lambda d: repr(d.config)),
    "matplotlib's parameters": _of_library("matplotlib", lambda m: repr(dict.items(m.rcParams))),
}
GENERATORS: dict[str, _Part] = {
    "Python's random generator": _Part(random.getstate, random.setstate),
    "numpy's random generator": _of_library("numpy", _numpy_generator, _restore_numpy_generator),
    "torch's random generator": _of_library(
        "torch", lambda t: t.get_rng_state().numpy().tobytes(), _restore_torch_generator
    ),
}
_PARTS = {**_SETTINGS, **GENERATORS}
# Libraries change these when they are imported, as they are inside of a node.
_OF_IMPORTS = frozenset(
    {
        *("the environment variables", "the filters of warnings", "levels and handlers of loggers"),
        *("signal handlers", "types of files in mimetypes", "sys.path", "dask's configuration"),
        *("matplotlib's parameters", "pandas' options", "dialects of csv"),
    }
)


def take() -> dict[str, Any]:
    """The state of the process now; what cannot be read is left out."""
    state: dict[str, Any] = {"modules": len(sys.modules)}
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
        if name == "modules" or name in passed_over or value is None or name not in after:
            continue
        if name == "levels and handlers of loggers":
            if any(after[name].get(log, was) != was for log, was in value.items()):
                changed.add(name)
        elif after[name] != value:
            changed.add(name)
    return changed
