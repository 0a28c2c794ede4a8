"""Settings of the process, and of libraries in it: what reads each of them, and puts it back."""

from __future__ import annotations

import contextlib
import csv
import decimal
import gc
import json
import locale
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from kedro_eeipu.cache.identity.origin import loaded_modules

__all__ = ["ABSENT", "MODULES", "OF_IMPORTS", "SETTINGS", "THREADS", "Part", "of_library"]

ABSENT = "the library is not loaded"
# Those with names, and not those that end a study: they are ours.
_SIGNALS = [s for s in signal.Signals if s.name not in ("SIGINT", "SIGTERM", "SIGHUP")]


class Part(NamedTuple):
    """Something of the process: what reads it, and what puts it back if it can be."""

    read: Callable[[], Any]
    restore: Callable[[Any], Any] | None = None


def of_library(module: str, read: Callable[[Any], Any], restore: Any = None) -> Part:
    """A part that is there once a library is loaded."""

    def reading() -> Any:
        loaded = sys.modules.get(module)
        return ABSENT if loaded is None else read(loaded)

    def restoring(value: Any) -> None:
        loaded = sys.modules.get(module)
        if loaded is not None and value != ABSENT:
            restore(loaded, value)

    return Part(reading, restoring if restore else None)


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


def _signals() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _restore_signals(value: Mapping[int, Any]) -> None:
    for number, handler in value.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


class _Modules:
    """What is in ``sys.modules``: thousands of entries, looked through only when they differ."""

    def __init__(self) -> None:
        self._looked_at: dict[str, Any] = {}
        self._imported, self._others = 0, dict[str, int]()

    def imported(self) -> int:
        """How many imports there have been."""
        self._look()
        return self._imported

    def others(self) -> dict[str, int]:
        """Entries that no import had made when imports were counted."""
        return self._others

    def _look(self) -> None:
        now = loaded_modules()
        with contextlib.suppress(Exception):  # of modules that are compared in their own ways
            if now == self._looked_at:  # by identity, and fast
                return
        self._looked_at = now
        self._others = {name: id(m) for name, m in self._looked_at.items() if not _is_imported(m)}
        self._imported = len(self._looked_at) - len(self._others)


def _is_imported(module: object) -> bool:
    # Not by getattr, for which some modules import others.
    return isinstance(module, ModuleType) and vars(module).get("__spec__") is not None


MODULES = _Modules()


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
    )


def _restore_torch_settings(torch: Any, value: tuple[Any, ...]) -> None:
    dtype, grad, deterministic = value
    torch.set_default_dtype(getattr(torch, dtype.removeprefix("torch.")))
    torch.set_grad_enabled(grad)
    torch.use_deterministic_algorithms(deterministic)


SETTINGS: dict[str, Part] = {
    "the decimal context": Part(_decimal, _restore_decimal),
    "the environment variables": Part(lambda: dict(os.environ), _restore_environment),
    "the working directory": Part(os.getcwd, os.chdir),
    "the file mode mask": Part(_umask, os.umask),
    "sys.path": Part(lambda: list(sys.path), lambda v: sys.path.__setitem__(slice(None), v)),
    "the recursion limit": Part(sys.getrecursionlimit, sys.setrecursionlimit),
    "the thresholds of the garbage collector": Part(
        gc.get_threshold, lambda v: gc.set_threshold(*v)
    ),
    "the locale": Part(
        lambda: locale.setlocale(locale.LC_ALL), lambda v: locale.setlocale(locale.LC_ALL, v)
    ),
    "the filters of warnings": Part(
        lambda: [repr(f) for f in warnings.filters[:50]],
    ),
    "the timeout of sockets": Part(socket.getdefaulttimeout, socket.setdefaulttimeout),
    "signal handlers": Part(_signals, _restore_signals),
    "entries of sys.modules": Part(MODULES.others),
    "levels and handlers of loggers": Part(_loggers),
    "the default encoder of json": Part(_encoder),
    "dialects of csv": Part(_dialects),
    "types of files in mimetypes": of_library(
        "mimetypes", lambda m: (dict(m.types_map), dict(m.suffix_map))
    ),
    "numpy's handling of errors": of_library(
        "numpy", lambda np: np.geterr(), lambda np, v: np.seterr(**v)
    ),
    "numpy's print options": of_library(
        "numpy",
        lambda np: np.get_printoptions(),
        lambda np, v: np.set_printoptions(**{k: w for k, w in v.items() if k != "override_repr"}),
    ),
    "pandas' options": of_library("pandas._config.config", lambda c: repr(c._global_config)),
    "sklearn's configuration": of_library(
        "sklearn", lambda s: s.get_config(), lambda s, v: s.set_config(**v)
    ),
    "torch's settings": of_library("torch", _torch_settings, _restore_torch_settings),
    "dask's configuration": of_library("dask.config", lambda d: repr(d.config)),
    "matplotlib's parameters": of_library("matplotlib", lambda m: repr(dict.items(m.rcParams))),
}
# Trainings set it, for speed, and the last digits of later sums depend on it. A node that is served
# leaves it as it did when it ran; so it can be served.
THREADS: dict[str, Part] = {
    "the number of torch's threads": of_library(
        "torch", lambda t: t.get_num_threads(), lambda t, v: t.set_num_threads(v)
    ),
}
# Libraries change these when they are imported, as they are inside of a node.
OF_IMPORTS = frozenset(
    {
        *("the environment variables", "the filters of warnings", "levels and handlers of loggers"),
        *("signal handlers", "types of files in mimetypes", "sys.path", "dask's configuration"),
        "entries of sys.modules",
        *("matplotlib's parameters", "pandas' options", "dialects of csv"),
    }
)
