"""Imports point inwards: which room may import which, and that no modules import in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import kedro_eeipu

PACKAGE = Path(kedro_eeipu.__file__).parent
GROUND = {
    "",
    "errors",
    "logs",
    "wording",
    "processes",
    "beginning",
    "curves",
    "states",
    "_kedro",
    "_kedro_sessions",
}
CACHE = {"cache.files", "cache.identity", "cache.store", "cache.tensors"}
MAY_IMPORT = {
    "optimizer": set(),
    "search": set(),
    "schemas": set(),
    "starter": set(),
    "cache.files": set(),
    "cache.tensors": set(),
    "cache.identity": {"cache.files", "cache.tensors"},
    "cache.store": {"cache.identity", "cache.files", "cache.tensors"},
    "config": {"cache.store"},
    "study": {"search", "optimizer"},
    "reporting": {"study", "search", "optimizer"},
    "hooks": {*CACHE, "config", "search"},
    "project": {"hooks", "config", "cache.store", "search", "study", "schemas"},
    "tuning": {*CACHE, "project", "hooks", "config", "search", "study"},
    "viz": {*CACHE, "project", "config", "study", "search", "reporting"},
    "comparison": {
        *CACHE,
        *("tuning", "project", "hooks", "study", "search", "reporting", "optimizer"),
    },
    "notebook": {"cli", "tuning", "project", "study", "search", "reporting"},
}
"""By room, the rooms that it may import besides the ground. `cli` may import all."""
# Rooms that open late, so that who does not need their libraries does not load them.
LATE = {("study", "optimizer"), ("reporting", "optimizer"), ("comparison", "optimizer")}


def modules() -> dict[str, ast.Module]:
    """All modules by dotted name below the package, empty for the package itself."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        if "template" in file.parts:  # the starter's: code of projects
            continue
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(file.read_text())
    return found


MODULES = modules()


def imports(name: str) -> dict[str, bool]:
    """Modules of ours that a module imports, and whether it does so when it is loaded itself."""
    found: dict[str, bool] = {}
    top = set(MODULES[name].body)
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{name} has a relative import")
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module):
            base = str(node.module)[len("kedro_eeipu") :].lstrip(".")
            for alias in node.names:
                target = f"{base}.{alias.name}".lstrip(".")
                target = target if target in MODULES else base
                found[target] = found.get(target, False) or node in top
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if _is_ours(alias.name):
                    target = alias.name[len("kedro_eeipu") :].lstrip(".")
                    found[target] = found.get(target, False) or node in top
    return found


def _is_ours(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == "kedro_eeipu"


def room(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "cache" else parts[0]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_room_imports_what_it_may(name: str) -> None:
    own = room(name)
    if own == "cli":
        return
    allowed = GROUND | MAY_IMPORT.get(own, set()) | {own, *(["cache"] if "cache" in own else [])}
    if own in GROUND:
        allowed = GROUND | ({"notebook"} if name == "" else set())  # the public names, late
    for target, at_once in imports(name).items():
        assert room(target) in allowed, f"{name} imports {target}"
        assert not (at_once and (own, room(target)) in LATE), f"{name} imports {target} at once"


def test_no_modules_import_in_a_circle() -> None:
    graph = {name: sorted(imports(name)) for name in MODULES}
    state: dict[str, str] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if state.get(name) == "open":
            raise AssertionError(" -> ".join((*path[path.index(name) :], name)))
        if name in state:
            return
        state[name] = "open"
        for target in graph[name]:
            if target:  # the package itself holds the version
                visit(target, (*path, name))
        state[name] = "closed"

    for name in graph:
        visit(name, ())


def test_rooms_of_the_table_are_there() -> None:
    rooms = {room(name) for name in MODULES} - GROUND - {"cache", "cli"}
    assert rooms == set(MAY_IMPORT)
