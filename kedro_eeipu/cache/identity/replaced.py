"""What project code replaces in libraries: ``json.loads = own_loads``, ``builtins.len = counted``.

Whatever uses the library may get there, so what is there now is part of the identity of all
code. Assignments are found in the bytecode of the project's modules, wherever in them they stand;
what is replaced by a name that is computed is not seen. Accessors that are registered with pandas,
polars or xarray count as well.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

from kedro_eeipu.cache.identity.bytecode import assignments
from kedro_eeipu.cache.identity.canonical import Unidentifiable
from kedro_eeipu.cache.identity.origin import is_project_object, loaded_modules, origin_of

__all__ = ["Replaced", "replaced_in_libraries"]

_LIBRARY_FOLDERS = ("/site-packages/", "/dist-packages/")
_WITH_ACCESSORS = {
    "pandas": ("DataFrame", "Series", "Index"),
    "polars": ("DataFrame", "LazyFrame", "Series", "Expr"),
    "xarray": ("Dataset", "DataArray", "DataTree"),
}
_Chains = tuple[tuple[str, ...], ...]
# The assignments of each project module, with the spec that it was loaded by: a new one means that
# the module was loaded again. The spec is kept alive, so that no other gets its address.
_assigned: dict[str, tuple[Any, _Chains]] = {}
# Names of the project's modules, with what shows whether others were loaded since.
_listed: tuple[int, Any, tuple[str, ...]] = (0, None, ())


class Replaced(NamedTuple):
    """Something of a library's to which project code has assigned.

    Attributes:
        name: Module or class, and attribute.
        value: What is there now.
    """

    name: str
    value: Any


def replaced_in_libraries() -> list[Replaced]:
    """All that the loaded modules of the project may have replaced, sorted by name.

    Raises:
        Unidentifiable: The code of a module cannot be read.
    """
    values = {}
    for module_name, chains in _assignments_of_project():
        module = sys.modules.get(module_name)
        for chain in chains:
            owner = _resolved(vars(module) if module else {}, chain[:-1])
            name = _library_name(owner)
            if name and hasattr(owner, chain[-1]):
                value = getattr(owner, chain[-1])
                if not _is_as_delivered(value, chain[-1], owner):
                    values[f"{name}.{chain[-1]}"] = value
    values.update(_accessors())
    return [Replaced(name, value) for name, value in sorted(values.items())]


def _accessors() -> Iterator[tuple[str, Any]]:
    """Classes of the project that were registered as accessors of frames: ``frame.own.f()``."""
    for library, kinds in _WITH_ACCESSORS.items():
        for kind in filter(None, (getattr(sys.modules.get(library), n, None) for n in kinds)):
            names = {n for n, v in vars(kind).items() if "_accessor" in getattr(v, "__dict__", ())}
            for name in sorted(names | set(getattr(kind, "_accessors", ()))):
                accessor = getattr(kind, name, None)
                if accessor is not None and is_project_object(accessor):
                    yield f"{library}.{kind.__name__}.{name}", accessor


def _assignments_of_project() -> Iterator[tuple[str, _Chains]]:
    """By project module, what its code assigns to: names of a global variable and attributes."""
    for name in _project_modules():
        module = sys.modules.get(name)
        chains = () if module is None else _assignments_of(name, module)
        if chains:
            yield name, chains


def _project_modules() -> tuple[str, ...]:
    """Names of the loaded modules that are the project's, listed again when others are loaded.

    Asking for the origin of thousands of library modules takes seconds, looking at all loaded
    modules milliseconds, and this is asked for each node. Whatever is imported becomes the last.
    """
    global _listed
    last = next(reversed(sys.modules.values()))
    if _listed[0] != len(sys.modules) or _listed[1] is not last:
        names = tuple(n for n, m in loaded_modules().items() if _is_of_project(n, m))
        _listed = (len(sys.modules), last, names)
    return _listed[2]


def _is_of_project(name: str, module: Any) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or any(folder in file for folder in _LIBRARY_FOLDERS):
        return False
    return name.partition(".")[0] not in sys.stdlib_module_names and origin_of(name).is_project


def _assignments_of(name: str, module: types.ModuleType) -> _Chains:
    spec = getattr(module, "__spec__", None)
    of_spec, chains = _assigned.get(name, (None, ()))
    if of_spec is None or of_spec is not spec:
        loader: Any = getattr(spec, "loader", None)
        try:
            code = loader.get_code(name) if hasattr(loader, "get_code") else None
        except SyntaxError as error:  # its file was edited after it was imported
            raise Unidentifiable(f"the code of {name} cannot be read ({error})") from error
        except Exception:  # a loader that knows the module by another name, such as zipp's
            code = None
        chains = () if code is None else tuple(sorted(assignments(code)))
        _assigned[name] = (spec, chains)
    return chains


def _resolved(namespace: dict[str, Any], chain: tuple[str, ...]) -> Any:
    value = namespace.get(chain[0])
    for attribute in chain[1:]:
        value = getattr(value, attribute, None)
    return value


def _is_as_delivered(value: Any, name: str, owner: Any) -> bool:
    """Whether a function or class of a library is in its own place, with nothing wrapped around it.

    Then the project assigned nothing, or has put it back.
    """
    if not isinstance(value, types.FunctionType | types.BuiltinFunctionType | type):
        return False
    home = getattr(value, "__module__", None)
    return (
        isinstance(home, str)
        and getattr(value, "__name__", "") == name
        and not hasattr(value, "__wrapped__")
        and not is_project_object(value)
        and origin_of(home) == origin_of(_module_of(owner))
    )


def _module_of(owner: Any) -> str:
    return str(owner.__name__ if isinstance(owner, types.ModuleType) else owner.__module__)


def _library_name(owner: Any) -> str:
    """Name of a module or class of a library, empty for anything else."""
    if isinstance(owner, types.ModuleType):
        return "" if origin_of(owner.__name__).is_project else owner.__name__
    if isinstance(owner, type) and not origin_of(owner.__module__).is_project:
        return f"{owner.__module__}.{owner.__qualname__}"
    return ""
