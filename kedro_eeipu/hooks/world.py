"""The project's world: a coarse digest of all that a node could depend on, seen by its key or not.

It is compared where the key of a node cannot be trusted: to check first what was kept in another
world, to name the edit, and as part of the key of a node that once reused a wrong record.
"""

from __future__ import annotations

import functools
import glob
import hashlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.identity.origin import loaded_modules, origin_of
from kedro_eeipu.config.frozen import ConfigurationSnapshot

__all__ = ["World", "short", "world_of"]

_LARGE = 4 * 2**20  # bytes; of a larger file size and time stand for the content
# With more threads sums may differ in their last digits.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GPUS = "/proc/driver/nvidia/gpus/*/information"
_MOST_NAMES = 5
_AT_START = ("sitecustomize", "usercustomize")


@dataclass(frozen=True)
class World:
    """What the nodes of a project could depend on.

    Attributes:
        files: Digests of the source files of the project, by path.
        configuration: Digests of the configuration files that runs read, credentials left out.
        libraries: Versions of the installed distributions and of Python, by name.
        machine: The kind of machine: processor, number of threads, accelerators.
    """

    files: Mapping[str, str]
    configuration: Mapping[str, str]
    libraries: Mapping[str, str]
    machine: Mapping[str, str]

    @functools.cached_property
    def digest(self) -> str:
        """Digest of the project: everything but the machine."""
        return combine(files=self.files, configuration=self.configuration, libraries=self.libraries)

    @functools.cached_property
    def place(self) -> str:
        """Digest of where something is computed: kind of machine, Python and libraries."""
        return combine(libraries=self.libraries, machine=self.machine)

    @property
    def whole(self) -> str:
        """Digest of everything."""
        return combine(project=self.digest, place=self.place)

    def changes_since(self, then: World) -> list[str]:
        """What differs from an earlier world, in words."""
        names = [*_differing(then.files, self.files)]
        names += _differing(then.configuration, self.configuration)
        names += [
            f"{n} {then.libraries.get(n, 'not installed')} -> {self.libraries.get(n, 'none')}"
            for n in _differing(then.libraries, self.libraries)
        ]
        names += _differing(then.machine, self.machine)
        more = len(names) - _MOST_NAMES
        return [*names[:_MOST_NAMES], f"{more} more"] if more > 0 else names

    def to_json(self) -> dict[str, Any]:
        """As the store keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> World:
        """As read back."""
        return cls(*(stored.get(name, {}) for name in cls.__dataclass_fields__))


def short(digest: str) -> str:
    """A digest as the records of trials hold it."""
    return digest[:12]


def world_of(project: Path, configuration: ConfigurationSnapshot) -> World:
    """The world as it is now.

    Args:
        project: The project's root.
        configuration: What runs read of its configuration.
    """
    return World(
        {_name(file, project): _digest(file) for file in sorted(_source_files())},
        configuration.files(),
        _libraries(),
        _machine(),
    )


def _source_files() -> set[Path]:
    """Files of the project's modules, and all files in the folder of its package."""
    from kedro.framework.project import PACKAGE_NAME

    files = set()
    for name, module in loaded_modules().items():
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and origin_of(name).is_project and not _is_pythons(file):
            files.add(Path(file))
    package = getattr(sys.modules.get(PACKAGE_NAME or ""), "__file__", None)
    if isinstance(package, str):
        files.update(_inside(Path(package).parent))
    return files


def _is_pythons(file: str) -> bool:
    """Whether a file is part of how Python was started, or is stored with it and the libraries."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    installed = file.startswith((sys.prefix, sys.base_prefix)) or "site-packages" in file
    return installed or file == main or Path(file).stem in _AT_START


def _inside(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f != "__pycache__" and not f.startswith(".")]
        yield from (Path(place, name) for name in names)


def _name(file: Path, project: Path) -> str:
    return file.relative_to(project).as_posix() if file.is_relative_to(project) else str(file)


def _digest(file: Path) -> str:
    try:
        status = file.stat()
        if status.st_size > _LARGE:
            return f"{status.st_size} {status.st_mtime_ns}"
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


@functools.lru_cache(maxsize=1)
def _libraries() -> dict[str, str]:
    """Told by the names of folders: to open them takes long for hundreds of distributions."""
    versions = {"python": platform.python_version()}
    for path in sys.path:
        finder = importlib.metadata.MetadataPathFinder()
        context = importlib.metadata.DistributionFinder.Context(path=[path])
        for distribution in finder.find_distributions(context):
            folder = str(getattr(distribution, "_path", ""))
            name, _, version = Path(folder).stem.partition("-")
            versions.setdefault(name.lower(), version)
    return versions


@functools.lru_cache(maxsize=1)
def _machine() -> dict[str, str]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _line_of("/proc/cpuinfo", "model name") or platform.processor(),
        "accelerators": ", ".join(
            _line_of(file, "Model")
            for file in sorted(glob.glob("/proc/driver/nvidia/gpus/*/info*"))
        ),
        "threads": " ".join([str(_processors()), *(os.environ.get(n, "-") for n in _THREADS)]),
    }


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _line_of(file: str, name: str) -> str:
    """What a file of the system says about something, empty if it does not."""
    try:
        lines = Path(file).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((ln.partition(":")[2].strip() for ln in lines if ln.startswith(name)), "")


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return sorted(n for n in {**before, **now} if before.get(n) != now.get(n))
