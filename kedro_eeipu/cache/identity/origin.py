"""Where a module comes from: the user's project, an installed library, or Python itself."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import site
import sys
import sysconfig
import types
from dataclasses import dataclass
from typing import Any

import kedro_eeipu

__all__ = [
    "PYTHON",
    "Origin",
    "is_compiled",
    "is_project_object",
    "library_module_of",
    "loaded_modules",
    "origin_of",
    "owners",
]

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


_OWN = __name__.partition(".")[0]


@dataclass(frozen=True)
class Origin:
    """Where a module comes from.

    Attributes:
        name: ``"python"``, the top-level name of a library, or ``""`` for project code.
        version: of Python (major.minor) or of the distribution; ``""`` for project code.
    """

    name: str
    version: str

    @property
    def is_project(self) -> bool:
        return not self.name


_PROJECT = Origin("", "")
_PYTHON = Origin("python", PYTHON)


def is_project_object(obj: Any) -> bool:
    """Whether a function or class, or the code in a function, was written in the project."""
    modules = [getattr(obj, "__module__", None)]
    if isinstance(obj, types.FunctionType):
        modules.append(obj.__globals__.get("__name__"))  # wraps() changes __module__
    return any(isinstance(name, str) and origin_of(name).is_project for name in modules)


def is_compiled(module: Any) -> bool:
    """Whether a module is project code without bytecode, of which nothing can be said."""
    if not isinstance(module, str) or not origin_of(module).is_project:
        return False
    file = _file_of(sys.modules.get(module)) or ""
    return file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


def origin_of(module: str) -> Origin:
    """Return where the module called ``module`` comes from; it need not be imported yet.

    A module is a library's if its file is in a ``site-packages`` folder and a distribution
    with a version owns it. Everything else that is not part of Python is project code: so are
    editable installs, ``__main__``, modules without a file, and the package that Kedro runs, which
    may be built and installed again with the same version. This package is always a library's,
    however it is installed: what it stores names its own modules, and who develops it is to share
    hits with who uses it.
    """
    loaded = sys.modules.get(module)
    kedro = sys.modules.get("kedro.framework.project")  # importing it sets up logging
    package = getattr(kedro, "PACKAGE_NAME", None)
    if loaded is None:
        return _origin(module, None, False, package)
    return _origin(_own_name(module, loaded), _file_of(loaded), True, package)


def _own_name(alias: str, module: Any) -> str:
    """The name under which a module was imported.

    Cython puts some of scikit-learn's modules under a second, short name, and their classes name
    that one. No distribution owns it.
    """
    name = getattr(getattr(module, "__spec__", None), "name", None)
    return name if isinstance(name, str) and sys.modules.get(name) is module else alias


def _file_of(module: Any) -> str | None:
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return file
    paths = list(getattr(module, "__path__", None) or ())
    return os.path.join(str(paths[0]), "__init__.py") if paths else None


@functools.lru_cache(maxsize=65536)
def _origin(module: str, file: str | None, loaded: bool, package: str | None) -> Origin:
    top = module.partition(".")[0]
    if top == _OWN:
        return Origin(top, _library_version(top) or f"kedro-eeipu {kedro_eeipu.__version__}")
    if top == package:
        return _PROJECT
    if not loaded:
        file = _locate(module)
    if file is None:
        return _PYTHON if top in sys.stdlib_module_names else _PROJECT
    path = os.path.realpath(file)
    if _is_installed(os.path.abspath(file)) or _is_installed(path):
        version = _library_version(top)
        return Origin(top, version) if version else _PROJECT
    if top in sys.stdlib_module_names and path.startswith(_stdlib_folders()):
        return _PYTHON
    return _PROJECT


def _locate(module: str) -> str | None:
    """File of the top-level package of a module, which is not imported for it."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.has_location:
        return spec.origin
    folders = list(spec.submodule_search_locations or ())
    return os.path.join(folders[0], "__init__.py") if folders else None


@functools.lru_cache(maxsize=1)
def _stdlib_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths["stdlib"], paths["platstdlib"], os.path.dirname(os.__file__)}
    return tuple(os.path.realpath(folder) + os.sep for folder in folders)


@functools.lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths["purelib"], paths["platlib"], site.getusersitepackages()}
    return tuple(os.path.realpath(folder) + os.sep for folder in folders)


def _is_installed(path: str) -> bool:
    folders = path.split(os.sep)
    return (
        "site-packages" in folders
        or "dist-packages" in folders
        or path.startswith(_library_folders())
    )


def owners(top: str) -> list[str]:
    """Names of the distributions that own a top-level name."""
    return sorted(_owners().get(top, ()))


@functools.lru_cache(maxsize=1)
def _owners() -> dict[str, set[str]]:
    """Names of the distributions that own each top-level name.

    ``importlib.metadata.packages_distributions`` knows only some of them before Python 3.11.
    """
    owners: dict[str, set[str]] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        declared = (distribution.read_text("top_level.txt") or "").split()
        for top in declared or _first_folders(distribution):
            owners.setdefault(top.partition(".")[0], set()).add(name)
    return owners


def _first_folders(distribution: importlib.metadata.Distribution) -> set[str]:
    """First folder, or name, of each file of a distribution.

    ``Distribution.files`` asks the disk for each of them, which takes a second for all libraries.
    """
    record = distribution.read_text("RECORD")
    if not record:
        return {file.parts[0] for file in distribution.files or ()}
    return {line.lstrip('"').partition(",")[0].partition("/")[0] for line in record.splitlines()}


@functools.lru_cache(maxsize=4096)
def _library_version(top: str) -> str:
    """Versions of all distributions that own a top-level name; empty if there is none."""
    versions = []
    for name in owners(top):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            return ""
    return ", ".join(versions)


_modules_of: dict[int, tuple[Any, str]] = {}


def loaded_modules() -> dict[str, Any]:
    """What is in ``sys.modules`` now; threads may import while it is looked at."""
    while True:
        try:
            return sys.modules.copy()
        except RuntimeError:  # one of them did just now
            continue


def library_module_of(name: str, obj: Any) -> str | None:
    """The library module that holds an object under a name, None if there is none."""
    remembered = _modules_of.get(id(obj))
    if remembered is not None:
        return remembered[1]
    for module_name, module in sorted(loaded_modules().items()):
        if (
            getattr(module, "__dict__", {}).get(name) is obj
            and not origin_of(module_name).is_project
        ):
            _modules_of[id(obj)] = (obj, module_name)  # the reference keeps the id in use
            return module_name
    return None
