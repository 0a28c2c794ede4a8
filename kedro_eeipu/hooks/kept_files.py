"""Lazy outputs that the catalog declares: written by their own dataset, as files in the cache.

Files are written while the output is saved, and become part of the cache once the node is done and
nothing speaks against its record. Those who read the output load it from there by its own dataset.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from time import perf_counter
from typing import Any

from kedro.io import AbstractDataset

from kedro_eeipu.cache.identity.canonical import Unidentifiable, combine
from kedro_eeipu.cache.store.store import Blob, CacheMiss, Store
from kedro_eeipu.hooks.declared import file_config, private_copy
from kedro_eeipu.hooks.inputs import dataset_identity
from kedro_eeipu.hooks.own_files import save_privately

__all__ = ["KeptFiles", "kept_value"]


class KeptFiles:
    """The files of one output in one run.

    Args:
        name: Name of the dataset.
        store: The cache.
        declared: What the catalog declares.
        kind_token: Token of how that writes.
        owner: Name of the run, which must not lose what it reads.

    Attributes:
        seconds: What writing took.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        declared: AbstractDataset[Any, Any],
        kind_token: str,
        owner: str,
    ) -> None:
        self._name = name
        self._store = store
        self._declared = declared
        self._kind_token = kind_token
        self._owner = owner
        self._written: str | None = None
        self._content: str | None = None
        self._reserved = uuid.uuid4().hex  # other processes of the run know it, too
        self._former: list[str] = []
        self.seconds = 0.0

    @property
    def are_new(self) -> bool:
        """Whether some were written that are not part of the cache yet."""
        return self._written is not None

    def exist(self, blob: Blob) -> bool:
        """Whether there are files of an output; `path` says whether they are whole."""
        if self._written is not None or self._content is not None:
            return True
        return self.are_kept(blob)

    def are_kept(self, blob: Blob) -> bool:
        """Whether the cache has files of an output."""
        return self._store.folders.has(_digest(blob, self._kind_token))

    def path(self, blob: Blob | None) -> str | None:
        """Where the files of an output are, ``None`` if there are none."""
        if self._content is None and blob is not None and blob.is_recipe:
            digest = _digest(blob, self._kind_token)
            self._content = self._store.folders.open(digest, self._owner)
        folder = self._content or self._written or self._store.folders.written(self._reserved)
        return None if folder is None else self._inside(folder)

    def load(self, path: str) -> Any:
        """What is there, as its dataset loads it."""
        return self._copy(path).load()

    def write(self, value: Any) -> None:
        """Let the dataset write a value.

        Raises:
            Exception: Whatever the dataset raises, or the file system.
        """
        started = perf_counter()
        folders = self._store.folders
        folder = folders.new()
        try:
            save_privately(self._copy(self._inside(folder)), value)
        except BaseException:
            folders.drop(folder)
            raise
        self._written, self.seconds = folder, perf_counter() - started

    def begin(self, *, anew: bool = False) -> AbstractDataset[Any, Any]:
        """A dataset that writes into a new folder, once or several times.

        Args:
            anew: Whether several processes may do so at the same time, each for itself.
        """
        if self._written is not None:  # somebody may still read it
            self._former.append(self._written)
        self._content = None
        folders = self._store.folders
        self._written = folders.new(
            "" if anew or folders.written(self._reserved) else self._reserved
        )
        return self._copy(self._inside(self._written))

    def commit(self, blob: Blob, key: str, seconds: float) -> int:
        """Make what was written part of the cache, for the runs to come; returns its bytes.

        Args:
            blob: The output, as its record names it.
            key: Key of the record.
            seconds: What the node took, and the writing.
        """
        if self._written is None:
            return 0
        digest = _digest(blob, self._kind_token)
        size = self._store.folders.commit(self._written, digest, key, seconds)
        self._written = None
        return size

    def close(self) -> None:
        """Delete what has not become part of the cache."""
        folders = self._store.folders
        for written in filter(
            None, (*self._former, self._written, folders.written(self._reserved))
        ):
            folders.drop(written)
        self._former, self._written = [], None

    def _copy(self, path: str) -> AbstractDataset[Any, Any]:
        config = file_config(self._declared)
        assert config is not None
        return private_copy(config, self._name, path)

    def _inside(self, folder: str) -> str:
        config = file_config(self._declared)
        assert config is not None
        name = PurePosixPath(str(config.get("filepath", config.get("path")))).name
        return f"{folder}/{name}"


@contextmanager
def kept_value(store: Store, blob: Blob, declared: AbstractDataset[Any, Any]) -> Iterator[Any]:
    """The value of an output, whether its bytes are kept or files; it can be read inside.

    Args:
        store: The cache.
        blob: The output, as its record names it.
        declared: What the catalog declares.

    Raises:
        CacheMiss: It is not in the cache.
    """
    if not blob.is_recipe or file_config(declared) is None:
        yield store.load(blob)
        return
    owner = uuid.uuid4().hex
    try:
        files = KeptFiles("kept", store, declared, dataset_identity(declared), owner)
        path = files.path(blob)
        yield store.load(blob) if path is None else files.load(path)
    except Unidentifiable as reason:
        raise CacheMiss(str(reason)) from reason
    finally:
        store.folders.release(owner)


def _digest(blob: Blob, kind_token: str) -> str:
    """The name of the folder: how files are written is no part of the record."""
    return combine(output=blob.digest, written=kind_token)
