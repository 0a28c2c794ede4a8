"""What a node's function finds by itself while it runs: files that it opens, modules it imports.

Its key sees neither. Of files its record says which they were, and what cannot be said the user is
told.
"""

from __future__ import annotations

import functools
import os
import stat
import sys
import sysconfig
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from kedro_eeipu.cache.files.status import version_of
from kedro_eeipu.cache.identity.kept_results import place_of
from kedro_eeipu.cache.identity.origin import loaded_modules, origin_of
from kedro_eeipu.hooks.dataset import warn_once
from kedro_eeipu.hooks.file_events import listening
from kedro_eeipu.hooks.opened_files import (
    few_names,
    file_parts,
    is_small,
    is_temporary,
    is_within,
)

__all__ = [
    "Call",
    "Findings",
    "Opened",
    "Times",
    "findings",
    "in_words",
    "warn_of_files",
    "warn_of_unseen",
]

_MOST_FINDINGS = 10_000
_MOST_NAMED = 3
_WRITES = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_COMPILED = frozenset({".pyc", ".so", ".pyd", ".dylib", ".dll"})
_INSTALLED = frozenset({"site-packages", "dist-packages", "__pycache__", "mlruns"})
_OF_TOOLS = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", ".tox", ".nox", ".eeipu", ".viz"),
        *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints"),
        *(".idea", ".vscode", ".cache", ".telemetry", ".ipython", ".jupyter", ".DS_Store"),
    }
)
# What is here belongs to the system or to Python, not to anybody's data.
_OF_SYSTEM = (
    *("/proc", "/sys", "/dev", "/run", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/boot"),
    *("/var/cache", "/var/lib", "/var/log", "/var/run", "/nix", "/snap"),
    *("/System", "/Library", "/Applications"),
)
_PYTHON = [os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
_LISTED = (-1,)  # in place of a file's version
_CLOCK_SECONDS = 0.02  # by which the clock of a filesystem may be behind


class _Become(Enum):
    """What has become of a file since it was opened."""

    SAME = "nothing"
    WRITTEN = "another node has written it"
    CHANGED = "somebody else has changed it"
    OTHER = "it is another, or may be"


# What is in a database is not looked at; one that the node has changed is its own.
_OF_DATABASE = {
    _Become.SAME: _Become.OTHER,
    _Become.WRITTEN: _Become.WRITTEN,
    _Become.CHANGED: _Become.CHANGED,
    _Become.OTHER: None,
}


class Call(NamedTuple):
    """A call of a node's function.

    Attributes:
        began: When, in seconds since the epoch; 0 before.
        ended: The same.
        written: The files that it was seen to write.
    """

    began: float
    ended: float
    written: Set[str] = frozenset()


class Times(NamedTuple):
    """When a run and its calls began and ended, in seconds since the epoch.

    Attributes:
        run: When the run began.
        call: When the call began that is looked at.
        others: The calls of other nodes, by name. Where one is reused, it writes nothing, and then
            a file is not what it would have written.
    """

    run: float
    call: float
    others: Mapping[str, Call] = MappingProxyType({})

    def writers(self, path: str, now: os.stat_result) -> list[str]:
        """Names of the other nodes that have written a file, or during whose calls it changed."""
        changed = _changed(now)
        return [
            name
            for name, (began, ended, written) in self.others.items()
            if path in written or began <= changed <= ended + 2 * _CLOCK_SECONDS
        ]

    def change_of(self, path: str, now: os.stat_result) -> _Become:
        """What has become of a file, by who has written it and the time of its last change."""
        if self.writers(path, now):
            return _Become.WRITTEN
        if _changed(now) < self.run:
            return _Become.SAME
        # Libraries write with code of their own, and read that again.
        return _Become.OTHER if _changed(now) >= self.call else _Become.CHANGED


class Opened(NamedTuple):
    """The files that one call has opened.

    Attributes:
        parts: Tokens of those that its record can depend on, by the name of the part.
        unseen: Others that are there, by name: what is in them does not count.
        by_nodes: Those that other nodes of the run have written, with the names of these nodes.
        changed: Those that somebody else has changed since the run began.
    """

    parts: Mapping[str, str] = MappingProxyType({})
    unseen: Sequence[str] = ()
    by_nodes: Mapping[str, Sequence[str]] = MappingProxyType({})
    changed: Sequence[str] = ()


class Findings:
    """What one call has found.

    Attributes:
        opened: files that were opened for reading and had not been written before, with what tells
            whether they have changed since; ``None`` for one that was not there.
        listed: folders of which the content was listed.
        written: files and folders that were made, or opened for writing.
        within: what was opened or listed while a function of the user's ran, by its place.
        imported: modules that were imported meanwhile, in their order.
    """

    def __init__(self) -> None:
        self.opened: dict[str, tuple[int, ...] | None] = {}
        self.listed: dict[str, None] = {}
        self.imported: list[str] = []
        self._databases: dict[str, None] = {}
        self.written: set[str] = set()
        self.within: dict[tuple[str, int], set[str]] = {}

    def notice(self, event: str, path: str, flags: int) -> None:
        """Something is about to be done to a file or a folder."""
        path = os.path.abspath(_of_uri(path) if event == "sqlite3.connect" else path)
        if event == "os.listdir":
            self.listed[path] = None
        elif event == "sqlite3.connect":
            self._databases[path] = None
        elif event in ("os.rename", "os.mkdir") or (event == "open" and flags & _WRITES):
            if event == "open" and _keeps(flags) and not self._is_settled(path):
                self.opened[path] = _version(path)
            self.written.add(path)
            if self.opened.get(path, ()) is None:  # looked for, and then made
                del self.opened[path]
        elif event == "open" and not self._is_settled(path):
            self.opened[path] = _version(path)
        if path in self.opened or path in self.listed:
            for place in _places_on_stack():
                self.within.setdefault(place, set()).add(path)

    def inherit(self, keepers: Iterable[tuple[str, int]]) -> None:
        """Add what earlier calls of this process have opened for results that are kept.

        Args:
            keepers: The places of the functions of which something keeps results; see
                `CodeIdentity`.
        """
        for place, paths in self.within.items():
            earlier = _opened_within.setdefault(place, {})
            earlier.update({path: self.opened.get(path, _LISTED) for path in paths})
        for place in keepers:
            for path, version in _opened_within.get(place, {}).items():
                if version == _LISTED:
                    self.listed.setdefault(path)
                elif path not in self.written:
                    self.opened.setdefault(path, version)

    def _is_settled(self, path: str) -> bool:
        is_known = path in self.opened or path in self.written
        return is_known or len(self.opened) >= _MOST_FINDINGS

    def files(
        self,
        project: Path,
        known: Sequence[str],
        *,
        outputs: Sequence[str] = (),
        times: Times | None = None,
        are_noted: Callable[[Sequence[str]], Set[str]] = lambda names: frozenset(),
    ) -> Opened:
        """The files among what was opened that may be the user's data.

        Args:
            project: Its folder. Outside of it, what belongs to the system or to libraries does not
                count, and what is temporary only where another node has written it.
            known: Files and folders that the key sees.
            outputs: Files and folders in which nodes of the pipeline save theirs.
            times: When the run and its calls began and ended.
            are_noted: Which of these names nodes were once seen to write.
        """
        named = self._named(project, known)
        if not named:
            return Opened()
        places = [os.path.realpath(place) for place in outputs if place]
        noted = are_noted([*named.values()])
        times = times or Times(0.0, 0.0)
        by_nodes: dict[str, Sequence[str]] = {}
        names: dict[_Become, list[str]] = {kind: [] for kind in _Become}
        for path, name in named.items():
            become = self._become(path, not os.path.isabs(name), times)
            if become is not None and is_within(path, places):
                become = _Become.OTHER
            if become is _Become.SAME and name in noted:
                become = _Become.OTHER
            if become is not _Become.WRITTEN and is_temporary(name):
                continue
            if become is _Become.WRITTEN and (now := _status(path)) is not None:
                by_nodes[name] = times.writers(path, now)
            if become is not None:
                names[become].append(name)
        unseen, same, changed = (
            names[kind] for kind in (_Become.OTHER, _Become.SAME, _Become.CHANGED)
        )
        few = few_names(same) if len(self.opened) < _MOST_FINDINGS else None
        parts = file_parts(project, few) if few is not None and is_small(project, few) else {"": ""}
        if not all(parts.values()):
            return Opened({}, [*unseen, *same], by_nodes, changed)
        return Opened(parts, unseen, by_nodes, changed)

    def _named(self, project: Path, known: Sequence[str]) -> dict[str, str]:
        """The names of what was opened, by path, without what the key sees."""
        roots = (str(project), os.path.realpath(project))
        paths = {**self.opened, **self._databases, **self.listed}
        named = {path: name for path in paths if _is_data(name := _named(path, roots))}
        places = [os.path.realpath(place) for place in known if place] if named else []
        return {
            path: f"{name}/" if path in self.listed else name
            for path, name in named.items()
            if not is_within(path, places)
        }

    def _become(self, path: str, is_inside: bool, times: Times) -> _Become | None:
        """What has become of something since it was opened; ``None`` if it does not count."""
        now = _status(path)
        if path in self._databases:
            return None if now is None else _OF_DATABASE[times.change_of(path, now)]
        if path in self.listed:
            if now is None:
                return None
            is_own = any(os.path.dirname(written) == path for written in self.written)
            return _Become.OTHER if is_own else times.change_of(path, now)
        before = self.opened[path]
        if before is None and not is_inside:  # libraries look for files in many places
            return None
        if before is None or now is None:
            return _Become.SAME if before is now else _Become.OTHER
        if not stat.S_ISREG(now.st_mode):
            return None
        if path in self.written and version_of(now) != before:
            return _Become.OTHER
        change = times.change_of(path, now)
        is_another = change is not _Become.WRITTEN and version_of(now) != before
        return _Become.CHANGED if is_another else change

    def modules(self, project: Path, parts: Iterable[str]) -> list[str]:
        """The modules of the project among what was imported by a name that is computed.

        Args:
            project: The folder of the project.
            parts: What the key sees, ``"module:qualname"``; another process may import it late.
        """
        reached = {part.partition(":")[0] for part in parts}
        roots = (str(project), os.path.realpath(project))
        return [m for m in self.imported if m not in reached and _is_project(m, roots)]


# By the place of a function of the user's, what was opened while it ran; as `Findings.opened`.
_opened_within: dict[tuple[str, int], dict[str, tuple[int, ...] | None]] = {}


def _places_on_stack() -> Iterator[tuple[str, int]]:
    """The places of the user's functions that are running in this thread."""
    frame = sys._getframe(2)
    while frame is not None:
        if _is_user_code(frame.f_code.co_filename):
            yield place_of(frame.f_code)
        frame = frame.f_back  # type: ignore[assignment]


@functools.cache
def _is_user_code(file: str) -> bool:
    """Whether code is neither Python's nor of a library; a project may be below `/usr`, too."""
    if file.startswith("<frozen ") or not _INSTALLED.isdisjoint(Path(file).parts):
        return False
    return not is_within(file, _PYTHON)


def _of_uri(database: str) -> str:
    """The file that SQLite opens by a URI."""
    return unquote(urlsplit(database).path) if database.startswith("file:") else database


def _keeps(flags: int) -> bool:
    """Whether a file that is opened to write it may be read as it was."""
    return bool(flags & os.O_RDWR) and not flags & (os.O_TRUNC | os.O_EXCL)


def in_words(files: Sequence[str], modules: Sequence[str]) -> str:
    """What a key does not see of what was found; empty for nothing."""
    found = [f"opens {_listed(files)}"] if files else []
    found += [f"imports {_listed(modules)} by a name that it computes"] if modules else []
    return " and ".join(found)


def _changed(now: os.stat_result) -> float:
    """When a file was last changed, in seconds since the epoch; rather too late."""
    return max(now.st_mtime, now.st_ctime) + _CLOCK_SECONDS


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _version(path: str) -> tuple[int, ...] | None:
    status = _status(path)
    return None if status is None else version_of(status)


def warn_of_unseen(node: str, unseen: str) -> None:
    """Say what a node's function found by itself when it ran, if it did."""
    if unseen:
        warn_once(
            "%s %s. Its key does not see that: after an edit, cached results are still reused."
            " Name the files in eeipu.yml (depends_on), or let the node run in every trial"
            " (cache: false)",
            node,
            unseen,
        )


def warn_of_files(node: str, reason: str, what_follows: str) -> None:
    """Say which file a node has opened, and what follows from that."""
    warn_once("%s: %s", node, f"{reason}; {what_follows}")


def _is_data(name: str) -> bool:
    """Whether a file may be somebody's data; outside of the project, no hidden one is."""
    parts = Path(name).parts
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):  # such as what is no text
        return False
    if not _INSTALLED.isdisjoint(parts):
        return False
    if os.path.isabs(name) and any(part.startswith(".") for part in parts):
        return False
    if not _OF_TOOLS.isdisjoint(parts):
        return False
    if Path(name).suffix in _COMPILED:
        return False
    return not os.path.isabs(name) or not is_within(name, _places_of_system())


@functools.cache
def _places_of_system() -> list[str]:
    own = (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())
    return [*_OF_SYSTEM, *(os.path.realpath(place) for place in own if place != os.sep)]


def _is_project(module: str, roots: Sequence[str]) -> bool:
    """Whether a module is the project's; libraries write some to a temporary folder."""
    if not origin_of(module).is_project:
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    temporary = os.path.realpath(tempfile.gettempdir())
    return _named(file, roots) != file or not is_within(file, [temporary])


def _named(file: str, roots: Sequence[str]) -> str:
    """A file of the project by its path in it, others as they are."""
    if file in roots:
        return os.curdir
    for root in roots:
        if file.startswith(root + os.sep):
            return file[len(root) + 1 :]
    return file


def _listed(found: Sequence[str]) -> str:
    more = len(found) - _MOST_NAMED
    return ", ".join(found[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def findings() -> Iterator[Findings]:
    """Collect what is found in this thread, and in those that it starts."""
    found, modules = Findings(), loaded_modules()

    def listener(event: str, path: str, flags: int) -> None:
        with suppress(Exception):  # an error here would be the node's
            found.notice(event, path, flags)

    try:
        with listening(listener, everywhere=True):
            yield found
    finally:
        found.imported = [name for name in loaded_modules() if name not in modules]
