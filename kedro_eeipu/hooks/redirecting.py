"""Let a run write to a private folder instead of the user's, whatever its datasets are called.

What counts is the path: two datasets in one file still share one file, and an input is read from
where a node writes it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset, CachedDataset, CatalogProtocol, MemoryDataset
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline

from kedro_eeipu._kedro import (
    copy_mode,
    file_system,
    init_config,
    location,
    protocol,
    strip_transcoding,
    wrapped_dataset,
)
from kedro_eeipu.hooks.declared import file_config, is_persistent, private_copy

__all__ = ["Redirection", "redirect"]

_LOCAL = ("", "file", "local")


@dataclass
class Redirection:
    """The catalog entries of a run that touches no file of the user's.

    Attributes:
        datasets: Copies of declared datasets that are in the private folder, by name.
        in_memory: Names of declared outputs that have no path. They are handed on in memory.
        persistent: Names of all declared outputs that outlive a plain run.
    """

    datasets: dict[str, AbstractDataset[Any, Any]] = field(default_factory=dict)
    in_memory: list[str] = field(default_factory=list)
    persistent: set[str] = field(default_factory=set)


def redirect(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], folder: Path) -> Redirection:
    """Where a run reads and writes instead of the places that the catalog declares.

    Args:
        pipeline: What runs.
        catalog: Its catalog, which is only read.
        folder: The private folder.
    """
    outputs = sorted(pipeline.all_outputs())
    produced = {strip_transcoding(name) for name in outputs}
    names = {*outputs, *(n for n in pipeline.all_inputs() if not is_parameter(n))}
    declared = {name: dataset for name in sorted(names) if (dataset := _declared(name, catalog))}
    places = {name: place for name, dataset in declared.items() if (place := _place(dataset))}
    free = {name for name in places if strip_transcoding(name) not in produced}
    written = {places[name] for name in outputs if name in places}
    roots = _roots(written, {places[name] for name in free})
    read = {strip_transcoding(name) for name in pipeline.all_inputs()}
    redirection = Redirection(persistent=set(filter(declared.__contains__, outputs)))
    for name, dataset in declared.items():
        root = next((r for r in roots if _within(places.get(name, ""), r)), None)
        if name in free and root is None:
            continue
        target = None if root is None else _target(folder, root) / places[name][len(root) :][1:]
        if name in free and root is not None:
            _bring(dataset, root, _target(folder, root))
        copy = None if target is None else _copy(name, dataset, target)
        if copy is None and strip_transcoding(name) in produced:
            # A copy would be needed only by those who read it.
            is_read = strip_transcoding(name) in read
            copy = MemoryDataset(copy_mode=copy_mode(dataset) if is_read else "assign")
            redirection.in_memory.append(name)
        if copy is not None:
            redirection.datasets[name] = copy
    return redirection


def _declared(name: str, catalog: CatalogProtocol[Any, Any]) -> AbstractDataset[Any, Any] | None:
    """A dataset that outlives the process, ``None`` for others."""
    dataset = catalog.get(name) if name in catalog else None
    return dataset if is_persistent(dataset) else None


def _place(dataset: AbstractDataset[Any, Any]) -> str:
    """Protocol and path of a dataset, empty for one without a path."""
    dataset = wrapped_dataset(dataset)
    path = location(dataset)
    if not path:
        return ""
    kind = protocol(dataset)
    return f"file:{normpath(path)}" if kind in _LOCAL else f"{kind}:{path.rstrip('/')}"


def _within(place: str, root: str) -> bool:
    return bool(place) and (place == root or place.startswith(f"{root}/"))


def _roots(written: Collection[str], read: Collection[str]) -> list[str]:
    """The files and folders that become private, none of them inside another."""
    overlapping = {r for r in read if any(_within(w, r) or _within(r, w) for w in written)}
    candidates = {*written, *overlapping}
    return sorted(c for c in candidates if not any(_within(c, o) for o in candidates - {c}))


def _target(folder: Path, root: str) -> Path:
    name = PurePosixPath(root.partition(":")[2]).name
    return folder / hashlib.sha256(root.encode()).hexdigest()[:16] / name


def _bring(dataset: AbstractDataset[Any, Any], root: str, target: Path) -> None:
    """Copy what is there before the run: a node may read it before another one writes there."""
    kind, _, path = root.partition(":")
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        source = Path(path)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copy2(source, target)
        return
    wrapped = wrapped_dataset(dataset)
    files = file_system(wrapped) or getattr(wrapped, "_filesystem", None)
    if files is not None and files.exists(path):
        files.get(path, str(target), recursive=True)


def _copy(
    name: str, dataset: AbstractDataset[Any, Any], target: Path
) -> AbstractDataset[Any, Any] | None:
    """A dataset of the same kind at another path, ``None`` if it cannot be there."""
    config = file_config(wrapped_dataset(dataset))
    if config is None:
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        copy = private_copy(config, name, str(target))
    except Exception:  # a kind of the project's may refuse anything
        return None
    if isinstance(dataset, CachedDataset):
        return CachedDataset(copy, copy_mode=init_config(dataset).get("copy_mode"))
    return copy
