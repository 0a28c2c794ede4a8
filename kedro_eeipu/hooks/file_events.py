"""Listen to what is done to files and folders: opened, deleted, renamed, made, listed.

Python tells an audit hook of each before it happens, and lets it be if the hook raises (PEP 578).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["listening"]

Listener = Callable[[str, str, int], None]
# They list the folders in which modules may be, and read the code of modules.
_IMPORTERS = frozenset({"_frozen_importlib_external", "importlib._bootstrap_external", "pkgutil"})
# And these show it, in tracebacks for example.
_READERS_OF_CODE = _IMPORTERS | {"tokenize", "linecache", "zipimport"}
_CODE = (".py", ".pyc", ".pyi")


class _Listening(threading.local):
    """Who listens in this thread."""

    def __init__(self) -> None:
        self.listeners: tuple[Listener, ...] = ()


_here = _Listening()
_everywhere: list[Listener] = []
_installed = threading.Lock()


@contextmanager
def listening(listener: Listener, *, everywhere: bool = False) -> Iterator[None]:
    """Call a listener with each event, path and flags of ``os.open``; renaming has that of the new.

    The events are Python's: ``open``, ``os.remove``, ``os.rename``, ``os.mkdir``,
    ``sqlite3.connect`` and ``os.listdir``, which stands for ``os.scandir``, too. What imports open
    and list is left out. Who listens within another is called, too. What the listener raises is
    raised where the file is opened.

    Args:
        listener: What is called.
        everywhere: Whether it hears the threads, too, in which nobody listens, such as those that a
            node starts.
    """
    if _installed.acquire(blocking=False):  # for good: audit hooks cannot be removed
        sys.addaudithook(_hook)
    outer = _here.listeners
    _here.listeners = (*outer, listener)
    if everywhere:
        _everywhere.append(listener)
    try:
        yield
    finally:
        _here.listeners = outer
        if everywhere:
            _everywhere.remove(listener)


def _caller() -> str:
    """The module that has done what the audit hook is called for."""
    return str(sys._getframe(2).f_globals.get("__name__"))


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    listeners = _here.listeners or tuple(_everywhere)
    if not listeners:
        return
    if event == "open":
        path, _, flags = arguments
        if str(path).endswith(_CODE) and _caller() in _READERS_OF_CODE:
            return
    elif event in ("os.remove", "os.mkdir", "sqlite3.connect"):
        path, flags = arguments[0], os.O_RDONLY
    elif event == "os.rename":
        path, flags = arguments[1], os.O_RDONLY
    elif event in ("os.listdir", "os.scandir"):
        if _caller() in _IMPORTERS:
            return
        event, path, flags = "os.listdir", arguments[0], os.O_RDONLY
        path = os.curdir if path is None else path
    else:
        return
    if isinstance(path, str | bytes | os.PathLike) and isinstance(flags, int):
        for listener in listeners:
            listener(event, os.fsdecode(path), flags)
