"""Settings of the process, and of libraries in it: what reads each of them, and puts it back."""

from __future__ import annotations

import contextlib
import csv
import decimal
import gc
import importlib
import json
import locale
import logging
import os
import re
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from kedro_eeipu.cache.identity.origin import loaded_modules
from kedro_eeipu.config.redaction import is_secret

__all__ = [
    "ABSENT",
    "MODULES",
    "OF_IMPORTS",
    "SETTINGS",
    "Part",
    "decimal_settings",
    "may_be_recorded",
    "named_in_library",
    "of_library",
]

# Variables that are secrets, or hold for one process or shell, or as long as something listens.
_NOT_RECORDED = re.compile(
    r"(^|_)(KEY|AUTH|PWD|OLDPWD|COOKIE|PORT|PID|PPID|FD|FDS|SOCK|SOCKET|SESSION|TERM|SHLVL)($|_)",
    re.IGNORECASE,
)
ABSENT = "the library is not loaded"
# Those with names, and not those that end a study: they are ours.
_SIGNALS = [s for s in signal.Signals if s.name not in ("SIGINT", "SIGTERM", "SIGHUP")]


class Part(NamedTuple):
    """Something of the process.

    Attributes:
        read: What it is now.
        restore: Puts a value back, where that is possible.
        changes: What has changed from one value to another, by name; ``None`` if that cannot be
            said. Only of settings that a node can set again when it is reused.
        change: Sets what `changes` says.
        is_ours: Whether it is put back before each trial; others than nodes change the rest, too,
            so of those only what nodes have changed.
    """

    read: Callable[[], Any]
    restore: Callable[[Any], Any] | None = None
    changes: Callable[[Any, Any], dict[str, Any] | None] | None = None
    change: Callable[[dict[str, Any]], Any] | None = None
    is_ours: bool = True


def of_library(module: str, read: Callable[[Any], Any], restore: Any = None) -> Part:
    """A part that is there once a library is loaded."""
    reading, restoring = _in_library(module, read, restore)
    return Part(reading, restoring)


def _in_library(
    module: str, read: Callable[[Any], Any], write: Any
) -> tuple[Callable[[], Any], Callable[[Any], Any] | None]:
    def reading() -> Any:
        loaded = sys.modules.get(module)
        return ABSENT if loaded is None else read(loaded)

    def writing(value: Any) -> None:
        loaded = sys.modules.get(module)
        if loaded is not None and value != ABSENT:
            write(loaded, value)

    return reading, writing if write else None


def _named(
    read: Callable[[], Any], change: Callable[[dict[str, Any]], Any], *, is_ours: bool = True
) -> Part:
    """Settings with names, of which some can be changed; one that is new or gone is ``None``."""

    def restore(value: Any) -> None:
        change(_changed_items(read(), value))

    return Part(read, restore, _changed_items, change, is_ours)


def _number(read: Callable[[], Any], write: Callable[[Any], Any]) -> Part:
    """One number."""

    def change(items: dict[str, Any]) -> None:
        for number in items.values():
            write(number)

    return _named(lambda: {"number": read()}, change)


def named_in_library(
    module: str, read: Callable[[Any], Any], write: Any, *, is_ours: bool = True
) -> Part:
    """Settings of a library with names; to set one again the library is imported."""
    reading, writing = _in_library(module, read, write)
    assert writing is not None

    def change(items: dict[str, Any]) -> None:
        importlib.import_module(module)  # as the node has done that has changed it
        writing(items)

    return _named(reading, change, is_ours=is_ours)._replace(
        restore=lambda value: writing(_changed_items(reading(), value))
    )


def _time_zone() -> dict[str, Any]:
    return {"names": list(time.tzname), "seconds": [time.timezone, time.altzone]}


def _change_time_zone(items: Mapping[str, Any]) -> None:
    if items and hasattr(time, "tzset"):
        time.tzset()


def _changed_items(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    names = [*after, *(name for name in before if name not in after)]
    missing = object()
    return {n: after.get(n) for n in names if before.get(n, missing) != after.get(n, missing)}


def decimal_settings(context: decimal.Context) -> dict[str, Any]:
    """Settings of a decimal context, by name."""
    names = ("prec", "rounding", "Emin", "Emax", "capitals")
    traps = sorted(s.__name__ for s, on in context.traps.items() if on)
    return {**{name: getattr(context, name) for name in names}, "traps": traps}


def _change_decimal(items: Mapping[str, Any]) -> None:
    context = decimal.getcontext()
    for name, value in items.items():
        if name != "traps":
            setattr(context, name, value)
            continue
        for kind in context.traps:
            context.traps[kind] = kind.__name__ in value


def _collector() -> dict[str, Any]:
    return {"thresholds": list(gc.get_threshold()), "enabled": gc.isenabled()}


def _change_collector(items: Mapping[str, Any]) -> None:
    if "thresholds" in items:
        gc.set_threshold(*items["thresholds"])
    if "enabled" in items:
        (gc.enable if items["enabled"] else gc.disable)()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def may_be_recorded(variable: str) -> bool:
    """Whether an environment variable is neither a secret nor one process's, by its name."""
    return not is_secret(variable) and _NOT_RECORDED.search(variable) is None


def _change_environment(items: Mapping[str, str | None]) -> None:
    for name, value in items.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


_DISABLED = "all of them"  # the level up to which no logger says anything


def _all_loggers() -> list[logging.Logger]:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    return [log for log in loggers if isinstance(log, logging.Logger)]


def _levels() -> dict[str, Any]:
    levels = {log.name: [log.level, log.disabled, log.propagate] for log in _all_loggers()}
    return {**levels, _DISABLED: logging.root.manager.disable}


def _changed_levels(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Without loggers that are new."""
    return _changed_items(before, {n: after.get(n, was) for n, was in before.items()})


def _change_levels(items: Mapping[str, Any]) -> None:
    for name, value in items.items():
        if name == _DISABLED:
            logging.disable(value)
            continue
        log, (level, disabled, propagate) = logging.getLogger(name), value
        log.setLevel(level)
        log.disabled, log.propagate = disabled, propagate


def _handlers() -> dict[str, Any]:
    return {log.name: list(map(id, log.handlers)) for log in _all_loggers()}


_FRONT = "in front"


def _restore_filters(value: Sequence[Any]) -> None:
    with warnings.catch_warnings():
        pass  # on leaving, Python forgets which warnings were to be shown by the filters before
    warnings.filters[:] = value  # type: ignore[index]
    with warnings.catch_warnings():
        pass


def _added_filters(before: Sequence[Any], after: Sequence[Any]) -> dict[str, Any] | None:
    """The filters that were put in front of the others, as the functions of `warnings` do it."""
    for count in range(len(after) + 1):
        added = list(after[:count])
        if list(after[count:]) == [f for f in before if f not in added]:
            told = [_told(filter_) for filter_ in added]
            return None if None in told else ({_FRONT: told} if told else {})
    return None


def _told(filter_: Any) -> list[Any] | None:
    """One filter as JSON, ``None`` if it cannot be said that way."""
    action, message, category, module, line = filter_
    told = [action, _pattern(message), _named_class(category), _pattern(module), line]
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.resetwarnings()
        _add_filters({_FRONT: [told]})
        if warnings.filters[0] == filter_:
            return told
    return None


def _pattern(pattern: Any) -> str:
    return pattern if isinstance(pattern, str) else getattr(pattern, "pattern", "")


def _named_class(category: Any) -> str:
    return f"{category.__module__}:{category.__qualname__}"


def _add_filters(items: Mapping[str, Any]) -> None:
    for action, message, category, module, line in reversed(items.get(_FRONT) or []):
        home, _, name = category.partition(":")
        kind = getattr(importlib.import_module(home), name)
        warnings.filterwarnings(action, message, kind, module, line)


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


SETTINGS: dict[str, Part] = {
    "the decimal context": _named(lambda: decimal_settings(decimal.getcontext()), _change_decimal),
    "the environment variables": _named(lambda: dict(os.environ), _change_environment),
    # Python reads TZ once, and again when it is told to: `restore` and `change` come after those of
    # the variables.
    "the time zone": _named(_time_zone, _change_time_zone),
    "the working directory": Part(os.getcwd, os.chdir),
    "the file mode mask": Part(_umask, os.umask),
    "sys.path": Part(lambda: list(sys.path), lambda v: sys.path.__setitem__(slice(None), v)),
    "the recursion limit": _number(sys.getrecursionlimit, sys.setrecursionlimit),
    "the garbage collector": _named(_collector, _change_collector),
    "the locale": Part(
        lambda: locale.setlocale(locale.LC_ALL), lambda v: locale.setlocale(locale.LC_ALL, v)
    ),
    "the filters of warnings": Part(
        lambda: list(warnings.filters), _restore_filters, _added_filters, _add_filters, False
    ),
    "the timeout of sockets": _number(socket.getdefaulttimeout, socket.setdefaulttimeout),
    "signal handlers": Part(_signals, _restore_signals),
    "entries of sys.modules": Part(MODULES.others),
    "levels of loggers": _named(_levels, _change_levels, is_ours=False)._replace(
        changes=_changed_levels
    ),
    "handlers of loggers": Part(_handlers),
    "the default encoder of json": Part(_encoder),
    "dialects of csv": Part(_dialects),
    "types of files in mimetypes": of_library(
        "mimetypes", lambda m: (dict(m.types_map), dict(m.suffix_map))
    ),
}
# Libraries change these when they are imported, as they are inside of a node.
OF_IMPORTS = frozenset(
    {
        *("the environment variables", "the filters of warnings"),
        *("levels of loggers", "handlers of loggers"),
        *("signal handlers", "types of files in mimetypes", "sys.path", "dask's configuration"),
        "entries of sys.modules",
        *("matplotlib's parameters", "pandas' options", "dialects of csv"),
    }
)
