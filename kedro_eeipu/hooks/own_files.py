"""A trial does not write the user's files: what a dataset class writes besides its own is refused.

In a trial a dataset writes to a private place, because its ``filepath`` is replaced. A class of the
project may have a second one, which nobody knows of until it is opened.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro.utils import find_kedro_project

from kedro_eeipu._kedro import location
from kedro_eeipu.cache.identity.origin import is_project_object
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks.file_events import listening

__all__ = ["save_privately"]

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Of tools, not of the user: caches of compilers, environments.
_TOOLS = frozenset({"__pycache__", "site-packages", "dist-packages", "mlruns", "node_modules"})


def save_privately(dataset: AbstractDataset[Any, Any], value: Any) -> None:
    """Let a private copy of a declared dataset save a value.

    Raises:
        DatasetError: It is a class of the project, and writes another file of the project, too;
            that file is as it was.
        Exception: Whatever saving raises.
    """
    kind = _project_kind(dataset)
    if kind is None:
        dataset.save(value)
    else:
        with listening(_Guard(kind, location(dataset)).listen):
            dataset.save(value)


def _project_kind(dataset: AbstractDataset[Any, Any]) -> type | None:
    """The class of the project by which a dataset, or its partitions, are written, if there is."""
    for kind in (type(dataset), getattr(dataset, "_dataset_type", None)):
        if isinstance(kind, type) and any(map(is_project_object, kind.__mro__)):
            return kind
    return None


class _Guard:
    """Keeps a dataset of some kind from files of the project that are not beside its own."""

    def __init__(self, kind: type, location: str) -> None:
        self._kind = kind
        here = Path.cwd()
        self._project = os.path.realpath(find_kedro_project(here) or here)
        own = os.path.dirname(os.path.realpath(location))
        temporary = os.path.realpath(tempfile.gettempdir())
        self._free = (own, temporary) if _is_in(temporary, self._project) else (own,)

    def listen(self, event: str, path: str, flags: int) -> None:
        """Refuse what is written, deleted or replaced; who appends keeps what is there, as logs do.

        Raises:
            ConfigurationError: It is the user's.
        """
        is_written = flags & _WRITES and not flags & os.O_APPEND
        if event in ("os.remove", "os.rename") or (event == "open" and is_written):
            self._check(path)

    def _check(self, path: str) -> None:
        # The folder may be a link; a link that is deleted or replaced is meant itself.
        folder, name = os.path.split(os.path.abspath(path))
        real = os.path.join(os.path.realpath(folder), name)
        if not _is_in(real, self._project) or any(_is_in(real, place) for place in self._free):
            return
        shown = os.path.relpath(real, self._project)
        if any(part.startswith(".") or part in _TOOLS for part in Path(shown).parts):
            return
        raise ConfigurationError(
            f"it writes {shown} besides its own file, and a trial does not write your files",
            where=f"{self._kind.__module__}.{self._kind.__qualname__}",
            remedy="Let it derive that path from its filepath, which is another one in a trial.",
        )


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
