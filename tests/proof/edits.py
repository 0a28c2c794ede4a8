"""What an edit is, and how a list of them is put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from projects import PACKAGE, project

Files = Mapping[str, "str | bytes"]


@dataclass(frozen=True)
class Edit:
    """A project, and an edit of it.

    Attributes:
        kind: What is edited.
        name: Which edit of that kind.
        before: All files.
        after: Those that the edit changes; ``None`` deletes one.
        changes: Whether a plain run gives another value afterwards.
        mode: ``trial`` goes through the tuner, ``run`` is a plain run with ``runs: true``.
        documented: The sentence of the docs that names it as something which no key can see.
    """

    kind: str
    name: str
    before: Files
    after: Mapping[str, str | bytes | None]
    changes: bool = True
    mode: str = "trial"
    documented: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind} / {self.name} / {self.mode}"

    def as_run(self) -> Edit:
        """The same edit between two plain runs that are cached."""
        return dataclasses.replace(self, mode="run")


def replaced(files: Files, old: str, new: str) -> dict[str, str | bytes | None]:
    """The files of a project that hold a text, with another in its place."""
    kept = (f"{PACKAGE}/base.py", f"{PACKAGE}/pipeline_registry.py", "pyproject.toml")
    found: dict[str, str | bytes | None] = {
        path: text.replace(old, new)
        for path, text in files.items()
        if isinstance(text, str) and old in text and path not in kept
    }
    if not found:
        raise ValueError(f"no file holds {old!r}")
    return found


EDITS: list[Edit] = []

# Where the code under test lies: in the module of the node, two modules away from it, or in that of
# the second node, whose input stays the same.
PLACES = ("near", "deep", "second")


def code(
    kind: str,
    name: str,
    source: str,
    old: str,
    new: str,
    *,
    changes: bool = True,
    places: tuple[str, ...] = (),
    documented: str = "",
    **modules: Any,
) -> None:
    """Edits of code whose function ``f(k)`` a node calls, one for each place.

    Where no places are given, the code lies near and deep by turns.
    """
    for place in places or (PLACES[len(EDITS) % 2],):
        if place == "near":
            files = project(f"{source}\n\ndef a(k):\n    return f(k)\n", **modules)
        elif place == "second":
            two = "from mini.base import total\n\ndef a(k):\n    return k\n"
            two += "\ndef b(x):\n    return total(f(x))\n"
            files = project(f"{source}\n{two}", **modules)
        else:
            files = project(
                "from mini.middle import g\n\ndef a(k):\n    return g(k)\n",
                middle="from mini.inner import lib\n\ndef g(k):\n    return lib.f(k)\n",
                inner__lib=source,
                **modules,
            )
        edit = Edit(
            kind,
            f"{name}, {place}",
            files,
            replaced(files, old, new),
            changes,
            documented=documented,
        )
        EDITS.append(edit)


def edit(
    kind: str,
    name: str,
    files: Files,
    old: str = "",
    new: str = "",
    *,
    after: Mapping[str, str | bytes | None] | None = None,
    changes: bool = True,
    documented: str = "",
    runs: bool = False,
) -> None:
    """An edit of a project: of a text in it, or of whole files; with ``runs`` also between runs."""
    changed = dict(after) if after is not None else replaced(files, old, new)
    made = Edit(kind, name, files, changed, changes, documented=documented)
    EDITS.append(made)
    if runs:
        EDITS.append(made.as_run())
