"""Tokens of what a node takes in from outside the run: its free inputs and its parameters."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kedro.io import (
    AbstractDataset,
    CatalogProtocol,
    MemoryDataset,
)
from kedro.io.core import parse_dataset_definition
from kedro.pipeline.node import Node
from kedro.utils import load_obj

from kedro_eeipu._kedro import (
    file_path,
    init_config,
    validator_specs,
    wrapped_dataset,
)
from kedro_eeipu.cache.identity.canonical import Unidentifiable, combine
from kedro_eeipu.cache.identity.code import code_identity
from kedro_eeipu.cache.identity.fingerprint import fingerprint
from kedro_eeipu.cache.identity.origin import is_project_object, origin_of
from kedro_eeipu.cache.identity.requirements import PLUMBING, with_requirements
from kedro_eeipu.config.settings import InputSettings
from kedro_eeipu.hooks.places import content_of, place_of, queried_version

__all__ = ["FileToken", "dataset_identity", "free_input", "validators_token"]

# Arguments that say where and with whose rights data is read, not what is read.
_WHERE = frozenset({"filepath", "path", "credentials", "versioned", "version", "type"})


def dataset_identity(dataset: AbstractDataset[Any, Any]) -> str:
    """Token of how a dataset reads and writes: its kind and arguments, not its place.

    Raises:
        Unidentifiable: An argument or the class itself cannot be fingerprinted.
    """
    suffix = "".join(PurePosixPath(file_path(dataset)).suffixes)
    return combine(
        kind=code_identity(type(dataset)).digest,
        libraries=_libraries(type(dataset)),
        arguments=fingerprint(_arguments(type(dataset), init_config(dataset))),
        suffix=suffix,
    )


def _libraries(kind: type) -> dict[str, str]:
    """Versions of the libraries that a dataset of a library reads with, such as pandas.

    What reads the value may use the library through it alone.
    """
    found = {}
    for name, value in getattr(sys.modules.get(kind.__module__), "__dict__", {}).items():
        module = value.__name__ if isinstance(value, types.ModuleType) else None
        module = module or getattr(value, "__module__", None)
        if name.startswith("__") or not isinstance(module, str):
            continue
        origin = origin_of(module)
        if origin.name not in PLUMBING:
            found[origin.name] = origin.version
    return with_requirements(dict(sorted(found.items())))


def _arguments(kind: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a dataset that can change what it reads or writes.

    A class of the project may read all of them; others read from ``fs_args`` how a file is opened,
    and nothing from ``metadata``.
    """
    arguments = {k: v for k, v in config.items() if k not in _WHERE}
    if "dataset" in arguments:
        arguments["dataset"] = _nested(arguments["dataset"])
    if any(is_project_object(base) for base in kind.__mro__):
        return arguments
    arguments.pop("metadata", None)
    opening = {k: v for k, v in (arguments.pop("fs_args", None) or {}).items() if v}
    opening = {k: v for k, v in opening.items() if k.startswith("open_args")}
    return {**arguments, "fs_args": opening} if opening else arguments


def _nested(definition: Any) -> Any:
    """Token of the dataset that another one reads its parts with, however it is given."""
    if isinstance(definition, AbstractDataset):
        return dataset_identity(definition)
    config = dict(definition) if isinstance(definition, Mapping) else {"type": definition}
    try:
        kind, _ = parse_dataset_definition(dict(config))
    except Exception as error:
        raise Unidentifiable(f"the kind of its parts cannot be determined: {error}") from error
    return {"kind": code_identity(kind).digest, "arguments": _arguments(kind, config)}


@dataclass(frozen=True)
class FileToken:
    """Makes the token of an input that is in a file or a folder of files.

    Attributes:
        identity: How the dataset reads it.
        fs: The fsspec filesystem it is on.
        path: Its path there.
    """

    identity: str
    fs: Any
    path: str

    def __call__(self) -> str:
        return combine(dataset=self.identity, content=content_of(self.fs, self.path))


def free_input(
    name: str, dataset: AbstractDataset[Any, Any], stated: Mapping[str, InputSettings]
) -> tuple[str, FileToken | None]:
    """Token of a dataset that no node of the run produces.

    Args:
        name: Its name in the catalog.
        dataset: What the catalog holds.
        stated: What the user states of versions of data, by dataset name.

    Returns:
        The token, and what makes it again, to see whether the data has changed since.

    Raises:
        Unidentifiable: The content cannot be identified; the reason says what to do.
    """
    dataset = wrapped_dataset(dataset)
    if name in stated:
        if stated[name].version:
            return combine(stated=stated[name].version), None
        version = queried_version(name, dataset, stated[name].version_query)
        return combine(dataset=dataset_identity(dataset), queried=version), None
    if isinstance(dataset, MemoryDataset):
        return combine(value=fingerprint(dataset.load())), None
    fs, path = place_of(name, dataset)
    token = FileToken(dataset_identity(dataset), fs, path)
    return token(), token


def validators_token(node: Node, catalog: CatalogProtocol[Any, Any]) -> str:
    """Token of the validators that the catalog applies to what a node loads and saves.

    A validator may change what it checks. Empty where there is none.

    Raises:
        Unidentifiable: A validator's code or options cannot be fingerprinted.
    """
    declared = validator_specs(catalog)
    if not getattr(catalog, "validation_enabled", True):
        return ""
    sides = [("load", name) for name in node.inputs] + [("save", name) for name in node.outputs]
    applied = [
        [
            side,
            place,
            fingerprint(spec.to_config()),
            code_identity(load_obj(spec.class_path)).digest,
        ]
        for place, (side, name) in enumerate(sides)
        if (spec := declared.get(name)) is not None and spec.enabled and side in spec.on
    ]
    return combine(validators=applied) if applied else ""
