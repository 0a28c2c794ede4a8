"""Where the data of a free input is, and its version if it is in no file."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import fsspec
from kedro.io import AbstractDataset, AbstractVersionedDataset

from kedro_eeipu._kedro import (
    credentials_in,
    file_system,
    init_config,
    load_path,
    location,
    partitions,
)
from kedro_eeipu.cache.identity.canonical import Unidentifiable, combine
from kedro_eeipu.cache.identity.contents import content_token

__all__ = ["content_of", "place_of", "queried_version"]

# Kinds of the file-backed family whose data is not in the file at their path.
_NOT_FILES = ("spark", "databricks", "snowflake", "dask", "ibis.table", "IncrementalDataset")
# Kinds that hand their path to a library, which finds the files.
_BY_PATH = (
    "kedro_datasets.dask.",
    "kedro_datasets.ibis.file_dataset.",
    "kedro_datasets.spark.spark_dataset.",
    "kedro_datasets.pandas.deltatable_dataset.",
    "kedro_datasets.spark.deltatable_dataset.",
)
_PATTERN = frozenset("*?[{")
# What Spark calls S3.
_PROTOCOLS = {"s3a": "s3", "s3n": "s3"}

_queried: weakref.WeakKeyDictionary[AbstractDataset[Any, Any], str] = weakref.WeakKeyDictionary()


def place_of(name: str, dataset: AbstractDataset[Any, Any]) -> tuple[Any, str]:
    """The filesystem and the path of the files of a free input.

    Raises:
        Unidentifiable: It has none.
    """
    kind = f"{type(dataset).__module__}.{type(dataset).__qualname__}"
    place = None
    if kind.startswith(_BY_PATH):
        place = _by_path(dataset)
    elif not any(part in kind for part in _NOT_FILES):
        fs = file_system(dataset)
        if isinstance(dataset, AbstractVersionedDataset) and fs is not None:
            place = fs, load_path(dataset)
        elif type(dataset).__name__ == "PartitionedDataset":
            place = partitions(dataset)
    if place is None:
        raise Unidentifiable(
            f"the content of input '{name}' ({type(dataset).__name__}) cannot be identified; "
            f"state it in eeipu.yml as cache.inputs.{name}.version, or a query that gives it as "
            ".version_query"
        )
    return place


def content_of(fs: Any, path: str) -> str:
    """Token of the content of a file, of a folder, or of all that a pattern matches.

    Raises:
        Unidentifiable: Something is missing or cannot be read.
    """
    if not _PATTERN & set(path) or fs.exists(path):
        return content_token(fs, path)
    matches = sorted(fs.glob(path))
    if not matches:
        raise Unidentifiable(f"{path} matches no file")
    return combine(matches={str(match): content_token(fs, match) for match in matches})


def queried_version(name: str, dataset: AbstractDataset[Any, Any], query: str) -> str:
    """What a query that the user states says about the version of a table, once for a dataset.

    Args:
        name: The name of the dataset in the catalog.
        dataset: It, with an engine of SQLAlchemy or a connection of Ibis.
        query: The query.

    Raises:
        Unidentifiable: It cannot be asked.
    """
    if dataset not in _queried:
        try:
            rows = _rows(dataset, query)
        except Exception as error:
            raise Unidentifiable(
                f"cache.inputs.{name}.version_query in eeipu.yml failed: "
                f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            ) from error
        _queried[dataset] = combine(rows=[[repr(value) for value in row] for row in rows])
    fs, path = file_system(dataset), location(dataset)
    # A query that is in a file is a part of what is read.
    text = content_token(fs, path) if fs is not None and path else ""
    return combine(rows=_queried[dataset], text=text)


def _rows(dataset: Any, query: str) -> list[list[Any]]:
    engine, connection = getattr(dataset, "engine", None), getattr(dataset, "connection", None)
    if engine is not None and hasattr(engine, "connect"):
        from sqlalchemy import text

        with engine.connect() as opened:
            return [list(row) for row in opened.execute(text(query))]
    if connection is not None and hasattr(connection, "sql"):
        answer = connection.sql(query).to_pyarrow()
        return [list(row.values()) for row in answer.to_pylist()]
    raise TypeError(f"a {type(dataset).__name__} has no connection that can be asked")


def _by_path(dataset: AbstractDataset[Any, Any]) -> tuple[Any, str] | None:
    """Where a library finds the files of a dataset; ``None`` where that is not its path alone."""
    config = init_config(dataset)
    arguments = config.get("load_args") or {}
    if not config.get("filepath") or isinstance(arguments.get("schema"), Mapping):
        return None
    path = str(config["filepath"])
    protocol, separator, _ = path.partition("://")
    if separator:
        path = f"{_PROTOCOLS.get(protocol, protocol)}{path[len(protocol) :]}"
    options = {**(config.get("fs_args") or {}), **credentials_in(dataset)}
    try:
        fs, path = fsspec.core.url_to_fs(path, **options)
        if isinstance(dataset, AbstractVersionedDataset) and config.get("versioned"):
            path = load_path(dataset)
        # The data files of a Delta table stay as they are: its log says which of them count.
        is_delta = "deltatable" in type(dataset).__module__ or config.get("file_format") == "delta"
        return fs, f"{path.rstrip('/')}/_delta_log" if is_delta else path
    except Exception:  # a filesystem that is not installed, a version that is not there
        return None
