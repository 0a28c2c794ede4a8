"""What a node's function finds by itself while it runs: files that it opens, modules it imports.

Its key sees neither, but the user can be told.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from kedro_eeipu.cache.identity.origin import loaded_modules, origin_of
from kedro_eeipu.hooks.dataset import warn_once
from kedro_eeipu.hooks.file_events import listening

__all__ = ["Findings", "findings", "warn_of_unseen"]

_MOST_FINDINGS = 1000
_MOST_NAMED = 3
# Code is known by what is loaded of it, and Python opens it for tracebacks, too.
_CODE = frozenset({".py", ".pyc", ".pyi", *(".so", ".pyd", ".dylib", ".dll")})
_INSTALLED = frozenset({"site-packages", "dist-packages", "__pycache__", "mlruns"})


class Findings:
    """What one call has found.

    Attributes:
        opened: files that were opened for reading, and had not been written before.
        imported: modules that were imported meanwhile, in their order.
    """

    def __init__(self) -> None:
        self.opened: dict[str, None] = {}
        self.imported: list[str] = []
        self._written: set[str] = set()

    def opens(self, path: str, flags: int) -> None:
        """A file is about to be opened."""
        path = os.path.abspath(path)
        if flags & (os.O_WRONLY | os.O_CREAT | os.O_TRUNC) or not os.path.exists(path):
            self._written.add(path)
        elif path not in self._written and len(self.opened) < _MOST_FINDINGS:
            self.opened[path] = None

    def unseen(self, project: Path, known: Sequence[str], reached: Set[str]) -> str:
        """What of this the key of a node does not see, in words; empty for nothing.

        Args:
            project: Only files in its folder count; those outside are libraries', as a rule.
            known: Files and folders that the key sees.
            reached: Modules that it sees; another process may import them late.
        """
        roots = (str(project), os.path.realpath(project))
        named = {f: name for f in self.opened if _is_data(name := _named(f, roots))}
        places = [os.path.realpath(place) for place in known if place] if named else []
        files = [n for f, n in named.items() if os.path.isfile(f) and not _is_within(f, places)]
        found = [f"opens {_listed(files)}"] if files else []
        modules = [m for m in self.imported if m not in reached and _is_project(m, roots)]
        found += [f"imports {_listed(modules)} by a name that it computes"] if modules else []
        return " and ".join(found)


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


def _is_data(name: str) -> bool:
    """Whether a file is the project's and no code; hidden folders are those of tools."""
    return (
        not os.path.isabs(name)
        and not any(part.startswith(".") or part in _INSTALLED for part in Path(name).parts)
        and Path(name).suffix not in _CODE
    )


def _is_project(module: str, roots: Sequence[str]) -> bool:
    """Whether a module is the project's; libraries write some to a temporary folder."""
    if not origin_of(module).is_project:
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    temporary = os.path.realpath(tempfile.gettempdir())
    return _named(file, roots) != file or not _is_within(file, [temporary])


def _named(file: str, roots: Sequence[str]) -> str:
    """A file of the project by its path in it, others as they are."""
    for root in roots:
        if file.startswith(root + os.sep):
            return file[len(root) + 1 :]
    return file


def _is_within(file: str, places: Sequence[str]) -> bool:
    real = os.path.realpath(file)
    return any(real == place or real.startswith(place + os.sep) for place in places)


def _listed(found: Sequence[str]) -> str:
    more = len(found) - _MOST_NAMED
    return ", ".join(found[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def findings() -> Iterator[Findings]:
    """Collect what is found in this thread; what threads of its own find is not seen."""
    found, modules = Findings(), loaded_modules()

    def listener(event: str, path: str, flags: int) -> None:
        if event in ("open", "sqlite3.connect"):
            with suppress(Exception):  # an error here would be the node's
                found.opens(path, flags)

    try:
        with listening(listener):
            yield found
    finally:
        found.imported = [name for name in loaded_modules() if name not in modules]
