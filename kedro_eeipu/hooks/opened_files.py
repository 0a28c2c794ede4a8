"""Files that a node's function opens by itself, as parts of what its value depends on.

Which they are is known once it has run. Its record names them, and serves only while they are as
they were. A name is a path in the project, or that of a file elsewhere; ``folder/`` stands for the
names of what is in a folder, ``folder/*`` for all that is in it.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import fsspec

from kedro_eeipu.cache.identity.canonical import Unidentifiable, combine
from kedro_eeipu.cache.identity.contents import content_token
from kedro_eeipu.cache.store.store import Store
from kedro_eeipu.states import FILE_PART

__all__ = [
    "ChangedFiles",
    "few_names",
    "file_parts",
    "is_small",
    "is_temporary",
    "is_within",
    "note_files",
    "noted_files",
    "token_of_file",
]

_WRITTEN = "written"  # notes of files that a node has opened after a run had written them

_ALL = "/*"
_MOST_NAMES = 50
_LEAST_IN_FOLDER = 3  # of one folder, before all of it counts in their place
_MOST_BYTES = 1 << 30
_MOST_FILES = 20_000


def token_of_file(project: Path, name: str) -> str:
    """Token of what a name stands for, as it is now.

    Raises:
        Unidentifiable: It cannot be read.
    """
    path = _path(project, name)
    if not path.exists():
        return combine(absent=name)
    if name.endswith("/"):
        try:
            return combine(names=sorted(n for n in os.listdir(path) if _counts(n)))
        except OSError as error:
            raise Unidentifiable(f"{name} cannot be read: {type(error).__name__}") from error
    return combine(content=content_token(fsspec.filesystem("file"), str(path)))


def _path(project: Path, name: str) -> Path:
    return project / (name.removesuffix("*") if name.endswith(_ALL) else name)


def _counts(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__"


def file_parts(project: Path, names: Iterable[str]) -> dict[str, str]:
    """Tokens of what these names stand for, by the name of the part; empty if unreadable."""
    parts = {}
    for name in names:
        try:
            parts[FILE_PART + name] = token_of_file(project, name)
        except (Unidentifiable, OSError):
            parts[FILE_PART + name] = ""
    return parts


def few_names(names: Sequence[str]) -> list[str] | None:
    """The same files, with whole folders in place of many that are in one.

    ``None`` if that would be a folder that is in no other.
    """
    few = list(dict.fromkeys(names))
    while len(few) > _MOST_NAMES:
        folders = Counter(_folder(name) for name in few)
        deepest = max(map(_depth, folders))
        crowded = {f for f, n in folders.items() if n >= _LEAST_IN_FOLDER and _depth(f)}
        crowded = crowded or {f for f in folders if _depth(f) == deepest > 0}
        if not crowded:
            return None
        kept = [n for n in few if not any(n.startswith(folder) for folder in crowded)]
        few = [*kept, *(f"{folder}*" for folder in sorted(crowded))]
    return few


def _folder(name: str) -> str:
    """The folder that a file or folder is in, with a slash; empty for the project's own."""
    folder = name.removesuffix(_ALL).removesuffix("/")
    above, _, _ = folder.rpartition("/")
    return f"{above}/" if above else ""


def _depth(folder: str) -> int:
    """How many folders a folder is in, the project's and the root not counted."""
    return folder.strip("/").count("/")


def is_small(project: Path, names: Iterable[str]) -> bool:
    """Whether all of it can be read each time that a process looks a record up."""
    size, count = 0, 0
    for name in names:
        path = _path(project, name)
        with suppress(OSError):  # what cannot be read has no token
            for file in path.rglob("*") if name.endswith(_ALL) else [path]:
                size += file.stat().st_size if file.is_file() else 0
                count += 1
                if size > _MOST_BYTES or count > _MOST_FILES:
                    return False
    return True


class ChangedFiles:
    """Tells which of the files that nodes of a trial opened are others now.

    A file is read again when a trial has another token of it than any before.

    Args:
        project: The folder of the project.
        nodes: Names of the nodes that count, by default all.
    """

    def __init__(self, project: Path, nodes: Collection[str] | None = None) -> None:
        self._project = project
        self._nodes = nodes
        self._now: dict[str, str] = {}
        self._others: dict[str, set[str]] = {}

    def __call__(self, node: str, parts: Mapping[str, str]) -> list[str]:
        """Names among the parts of a node that stand for something else now."""
        if self._nodes is not None and node not in self._nodes:
            return []
        return [
            part.removeprefix(FILE_PART)
            for part, token in parts.items()
            if part.startswith(FILE_PART) and self._is_other(part, token)
        ]

    def _is_other(self, part: str, then: str) -> bool:
        others = self._others.setdefault(part, set())
        if then not in others and not self._now.get(part, "").startswith(then):
            now = file_parts(self._project, [part.removeprefix(FILE_PART)])[part]
            if now != self._now.get(part):
                others.clear()
            self._now[part] = now
        if self._now[part].startswith(then):
            return False
        others.add(then)
        return True


def is_temporary(name: str) -> bool:
    """Whether a file lies in the folder for temporary ones, and not in the project."""
    return os.path.isabs(name) and is_within(name, [os.path.realpath(tempfile.gettempdir())])


def is_within(file: str, places: Iterable[str]) -> bool:
    """Whether a file is one of these places, which are real paths, or in one of them."""
    real = os.path.realpath(file)
    return any(real == place or real.startswith(place + os.sep) for place in places)


def note_files(store: Store, node: str, names: Iterable[str]) -> None:
    """Note for all who share the store that runs write these files, and that a node opens them.

    Later the node that writes one may be reused, and then the file is not what it would write. What
    is temporary has another name each time.
    """
    for name in names:
        if not is_temporary(name):
            store.notes.put(_WRITTEN, combine(file=name), {"node": node})


def noted_files(store: Store, names: Iterable[str]) -> frozenset[str]:
    """Those of these names that are noted."""
    keys = store.notes.keys(_WRITTEN)
    return frozenset(name for name in names if combine(file=name) in keys) if keys else frozenset()
