"""Copies on this machine of blobs that are on another: each is fetched once.

A copy need not be trusted. What is loaded from it is checked against the digest in a signed
record, as if it had come from the remote root; a copy that fails is dropped and fetched again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from filelock import FileLock
from fsspec import AbstractFileSystem

from kedro_eeipu.cache.files.layout import BLOBS, TEMPORARY
from kedro_eeipu.cache.files.local import LocalFiles
from kedro_eeipu.cache.files.remote import SMALL, RemoteFiles

__all__ = ["MirroredFiles"]

_MOST_BYTES = 20 * 10**9
_SHARE_OF_ROOM = 0.25
_TOUCHED_SECONDS = 600.0
_ABANDONED_SECONDS = 86400.0  # what a killed process left unfinished


class MirroredFiles(RemoteFiles):
    """Remote files whose blobs are kept in a local folder once they were written or read.

    The copies take at most 20 GB and a quarter of the room there is; those that were not used for
    longest go first. Where no copy can be kept, everything works without.

    Args:
        fs: The remote filesystem.
        root: The root on it.
        copies: The local folder.
    """

    def __init__(self, fs: AbstractFileSystem, root: str, copies: LocalFiles) -> None:
        super().__init__(fs, root)
        self._copies = copies

    def fetch(self, path: str) -> IO[bytes]:
        if not path.startswith(f"{BLOBS}/"):
            return self.open(path)
        with contextlib.suppress(OSError):
            return self._opened_copy(path)
        try:
            with self._alone(path):
                with contextlib.suppress(FileNotFoundError):
                    return self._opened_copy(path)
                return self._fetched(path)
        except FileNotFoundError:
            raise
        except OSError:  # no room, no permission: it is read without a copy
            return self.open(path)

    def publish(self, produce: Callable[[IO[bytes]], str]) -> None:
        try:
            temporary = self._copies.temporary()
            file = open(temporary, "xb", buffering=0)  # noqa: SIM115 - closed below
        except OSError:
            super().publish(produce)
            return
        try:
            with file:
                path = produce(file)
            self._send(temporary, path)
            self._keep(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def delete(self, path: str) -> None:
        super().delete(path)
        self.drop_copy(path)

    def drop_copy(self, path: str) -> bool:
        there = self._copies.size(path) is not None
        self._copies.delete(path)
        return there

    def _opened_copy(self, path: str) -> IO[bytes]:
        file = self._copies.open(path)
        # Rarely: a file that stays as it is need not be hashed each time it is read.
        if time.time() - os.fstat(file.fileno()).st_mtime > _TOUCHED_SECONDS:
            with contextlib.suppress(OSError):
                self._copies.touch(path)
        return file

    def _fetched(self, path: str) -> IO[bytes]:
        temporary = self._copies.temporary()
        try:
            self._fs.get_file(self._path(path), temporary)
            file = open(temporary, "rb", buffering=0)  # noqa: SIM115 - the caller closes it
            self._keep(temporary, path)
            return file
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def _send(self, temporary: str, path: str) -> None:
        if os.path.getsize(temporary) <= SMALL:
            with open(temporary, "rb") as file:
                self.create(path, file.read())
        elif self.size(path) is None:
            self._upload(temporary, path)

    def _upload(self, temporary: str, path: str) -> None:
        try:
            self._fs.put_file(temporary, self._path(path))
        except FileNotFoundError:
            self._make_folders(path)
            self._fs.put_file(temporary, self._path(path))

    def _keep(self, temporary: str, path: str) -> None:
        """Take a file in as a copy, and make room for it; a failure costs a fetch, no more."""
        with contextlib.suppress(OSError):
            size = os.stat(temporary).st_size
            kept = sorted(self._copies.list(BLOBS), key=lambda entry: entry.changed)
            used = sum(entry.size for entry in kept)
            free = shutil.disk_usage(os.path.dirname(temporary)).free + size
            limit = min(_MOST_BYTES, int(_SHARE_OF_ROOM * (used + free)))
            if size > limit:
                return
            for entry in kept:
                if used + size <= limit:
                    break
                self._copies.delete(entry.path)
                used -= entry.size
            self._copies.adopt(temporary, path)
            for entry in self._copies.list(TEMPORARY):
                if entry.changed < time.time() - _ABANDONED_SECONDS:
                    self._copies.delete(entry.path)

    @contextmanager
    def _alone(self, path: str) -> Iterator[None]:
        """Keep the other processes of this machine from fetching the same file meanwhile."""
        lock = os.path.join(os.path.dirname(self._copies.temporary()), f"{path.split('/')[1]}.lock")
        with FileLock(lock):
            yield
