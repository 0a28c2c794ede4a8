"""What the user's catalog declares under a name: whether it is in a file, and what that does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from kedro.io import AbstractDataset, CachedDataset

from kedro_eeipu._kedro import copy_mode, init_config, is_ephemeral, wrapped_dataset
from kedro_eeipu.cache.identity.origin import is_project_object
from kedro_eeipu.hooks.own_files import save_privately

__all__ = [
    "adds_to_what_is_there",
    "changes_content",
    "file_config",
    "is_persistent",
    "lies_elsewhere",
    "private_copy",
    "private_memory",
    "shares_value",
    "written_and_read",
]

# Kinds whose load gives back exactly what was saved, so a trip through their file changes nothing.
_EXACT = ("kedro_datasets.pickle.pickle_dataset.PickleDataset",)


def private_copy(config: Mapping[str, Any], name: str, path: str) -> AbstractDataset[Any, Any]:
    """A dataset of a declared kind at a path of the run's own.

    Raises:
        DatasetError: The kind cannot be there.
    """
    arguments = {
        k: v for k, v in config.items() if k not in ("credentials", "versioned", "version")
    }
    fs_args = arguments.get("fs_args")
    # A class of the project may read what it likes from them.
    if isinstance(fs_args, dict) and not is_project_object(config["type"]):
        arguments["fs_args"] = {k: v for k, v in fs_args.items() if k.startswith("open_args")}
    arguments["filepath" if "filepath" in config else "path"] = path
    dataset: AbstractDataset[Any, Any] = AbstractDataset.from_config(name, arguments)
    return dataset


def private_memory(declared: AbstractDataset[Any, Any], name: str) -> AbstractDataset[Any, Any]:
    """A dataset like a declared one that keeps its value in memory, without that value.

    Raises:
        DatasetError: It cannot be made again.
    """
    arguments = {**init_config(declared), "type": type(declared)}
    arguments.pop("data", None)
    dataset: AbstractDataset[Any, Any] = AbstractDataset.from_config(name, arguments)
    return dataset


def file_config(declared: AbstractDataset[Any, Any] | None) -> dict[str, Any] | None:
    """The configuration of a declared dataset that is in a file, ``None`` for other kinds."""
    if not is_persistent(declared) or isinstance(declared, CachedDataset):
        return None
    assert declared is not None
    # By its class: Kedro looks for a name in three packages each time.
    config = {**init_config(declared), "type": type(declared)}
    return config if "filepath" in config or "path" in config else None


def adds_to_what_is_there(declared: AbstractDataset[Any, Any] | None) -> bool:
    """Whether a declared dataset appends to its file, by the modes of fsspec, pandas or Spark."""
    config = file_config(declared) or {}
    given = [_mapping(config, "save_args"), _mapping(_mapping(config, "fs_args"), "open_args_save")]
    return any(str(arguments.get("mode")).startswith("a") for arguments in given)


def _mapping(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What is under a key, if it is a mapping; a class of the project may take anything there."""
    value = config.get(key)
    return value if isinstance(value, Mapping) else {}


def changes_content(declared: AbstractDataset[Any, Any] | None) -> bool:
    """Whether what is read back from a declared dataset may differ from what was saved."""
    if is_ephemeral(declared):  # a class of the project may do anything in memory, too
        return is_project_object(type(declared))
    kind = f"{type(declared).__module__}.{type(declared).__qualname__}"
    return file_config(declared) is not None and kind not in _EXACT


def lies_elsewhere(declared: AbstractDataset[Any, Any] | None) -> bool:
    """Whether a declared dataset outlives the process and is not in a file: a table, say."""
    cached = isinstance(declared, CachedDataset)
    return is_persistent(declared) and not cached and file_config(declared) is None


def shares_value(declared: AbstractDataset[Any, Any] | None) -> bool:
    """Whether its readers are handed one and the same object, which each may change."""
    return bool(copy_mode(declared) == "assign")


def is_persistent(declared: AbstractDataset[Any, Any] | None) -> bool:
    """Whether a dataset of the user's catalog outlives the process."""
    return declared is not None and not is_ephemeral(wrapped_dataset(declared))


def written_and_read(
    private: AbstractDataset[Any, Any],
    value: Any,
    path: str | None,
    written: set[str | None],
    reader: AbstractDataset[Any, Any] | None = None,
) -> Any:
    """What a private dataset loads of a value that it has saved.

    Args:
        private: The dataset.
        value: The value; it is not saved where `path` has it already.
        path: Its file; ``None`` for one in memory.
        written: Files that hold the value; `path` is added.
        reader: Loads it; by default `private` does.
    """
    for is_last in (False, True):
        try:
            if path is None or path not in written or not os.path.exists(path):
                save_privately(private, value)
                written.add(path)
            return (reader or private).load()
        except Exception:
            # Somebody may have deleted the run's directory meanwhile.
            if is_last or path is None or os.path.exists(path):
                raise
    raise AssertionError("unreachable")
