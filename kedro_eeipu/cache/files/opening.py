"""The few file operations that the store needs, on a local folder or on any fsspec filesystem.

Paths are relative to the root, with slashes. Files appear whole or not at all: locally they are
written under a temporary name and renamed, remotely they are one upload.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Protocol

import fsspec

from kedro_eeipu.cache.files.layout import BLOBS, RECORDS, TEMPORARY, Entry

__all__ = [
    "Files",
    "LocalFiles",
    "is_fresh",
    "is_remote",
    "open_files",
    "version_of",
    "why_shared",
]

_FRESH_SECONDS = 2.0


class Files(Protocol):
    """A tree of files. Every method may raise OSError, remote ones anything."""

    def distrust(self) -> str | None:
        """Why others may write here (None if they cannot)."""

    def read(self, path: str) -> bytes: ...

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Contents of many small files by path; those that cannot be read are left out."""

    def open(self, path: str) -> IO[bytes]: ...

    def fetch(self, path: str) -> IO[bytes]:
        """As `open`, but from this machine's copy where there is one."""

    def size(self, path: str) -> int | None:
        """Size in bytes, None if there is no such file."""

    def create(self, path: str, data: bytes) -> bool:
        """Write a file unless it exists; return whether it was written."""

    def replace(self, path: str, data: bytes) -> None: ...

    def publish(self, produce: Callable[[IO[bytes]], str]) -> None:
        """Write a file whose path ``produce`` returns, once it has written the content.

        ``produce`` gets an unbuffered file.
        """

    def touch(self, path: str) -> None:
        """Make a file as young as a new one, where that is possible."""

    def move(self, source: str, target: str) -> None: ...

    def delete(self, path: str) -> None:
        """Delete a file, if it is there."""

    def list(self, folder: str) -> Iterator[Entry]:
        """All files at any depth below a folder, which may be missing."""

    def now(self) -> float:
        """The time on the clock that stamps the files."""

    def drop_copy(self, path: str) -> bool:
        """Delete this machine's copy of a file that lies elsewhere; whether there was one."""


def version_of(status: os.stat_result) -> tuple[int, ...]:
    """What changes when a local file does."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_fresh(status: os.stat_result) -> bool:
    """Whether a write that follows could leave the file's version as it is."""
    return time.time() - max(status.st_mtime_ns, status.st_ctime_ns) / 1e9 < _FRESH_SECONDS


def is_remote(root: str) -> bool:
    """Whether a root lies on another machine."""
    return fsspec.utils.get_protocol(root) not in ("file", "local", "memory")


def open_files(
    root: str, storage_options: dict[str, Any] | None = None, copies: str | None = None
) -> Files:
    """Return the files below ``root``, a local path or an fsspec URL.

    Args:
        root: Local path or URL.
        storage_options: For the filesystem of the URL.
        copies: Local folder for copies of blobs that lie on another machine.
    """
    fs, path = fsspec.core.url_to_fs(root, **(storage_options or {}))
    from kedro_eeipu.cache.files.mirrored import CopiedFiles
    from kedro_eeipu.cache.files.remote import RemoteFiles

    protocols = fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)
    if "file" in protocols:
        return LocalFiles(os.path.abspath(path))
    if copies is not None and is_remote(root):
        return CopiedFiles(fs, path.rstrip("/"), LocalFiles(os.path.abspath(copies)))
    return RemoteFiles(fs, path.rstrip("/"))


class LocalFiles:
    """Files in a local folder that only its owner may write to."""

    def __init__(self, root: str) -> None:
        self._root = root

    def distrust(self) -> str | None:
        for path in (self._root, self._path(RECORDS), self._path(BLOBS)):
            try:
                reason = why_shared(os.stat(path))
            except FileNotFoundError:
                return None  # it will be made, for its owner only
            except OSError as error:
                return f"it cannot be examined ({error.strerror})"
            if reason is not None:
                return reason
        return None

    def read(self, path: str) -> bytes:
        with self.open(path) as file:
            return file.read()

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes]:
        found = {}
        for path in paths:
            with contextlib.suppress(OSError):
                found[path] = self.read(path)
        return found

    def fetch(self, path: str) -> IO[bytes]:
        return self.open(path)

    def open(self, path: str) -> IO[bytes]:
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(self._path(path), flags)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError("not a regular file")
        return os.fdopen(descriptor, "rb", buffering=0)

    def size(self, path: str) -> int | None:
        try:
            return os.stat(self._path(path)).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def create(self, path: str, data: bytes) -> bool:
        temporary = self._write_temporary(data)
        try:
            self._link(temporary, self._path(path))
        except FileExistsError:
            return False
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return True

    def _link(self, source: str, target: str) -> None:
        _make_private(os.path.dirname(target))
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError as error:  # a filesystem without hard links
            if os.path.exists(target):
                raise FileExistsError(target) from error
            os.replace(source, target)

    def replace(self, path: str, data: bytes) -> None:
        self._rename(self._write_temporary(data), path)

    def publish(self, produce: Callable[[IO[bytes]], str]) -> None:
        temporary = self._temporary()
        try:
            with self._create_exclusively(temporary) as file:
                path = produce(file)
            try:
                self._rename(temporary, path)  # over a file that is there too: it may be damaged
            except PermissionError:  # somebody reads it, on a system that minds
                if self.size(path) is None:
                    raise
                self.touch(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    def touch(self, path: str) -> None:
        os.utime(self._path(path))

    def move(self, source: str, target: str) -> None:
        self._rename(self._path(source), target)

    def delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self._path(path))

    def list(self, folder: str) -> Iterator[Entry]:
        top = self._path(folder)
        if os.path.islink(top):
            return  # not ours: it may lead anywhere
        for place, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                full = os.path.join(place, name)
                with contextlib.suppress(FileNotFoundError):
                    status = os.lstat(full)
                    path = os.path.relpath(full, self._root).replace(os.sep, "/")
                    yield Entry(path, status.st_size, status.st_mtime)

    def now(self) -> float:
        temporary = self._write_temporary(b"")
        try:
            return os.stat(temporary).st_mtime
        finally:
            os.unlink(temporary)

    def drop_copy(self, path: str) -> bool:
        return False

    def temporary(self) -> str:
        """A path at which a file can be written, to be taken in with `adopt`."""
        path = self._temporary()
        _make_private(os.path.dirname(path))
        return path

    def adopt(self, temporary: str, path: str) -> None:
        """Give a file written at a temporary path its name."""
        self._rename(temporary, path)

    def _path(self, path: str) -> str:
        return os.path.join(self._root, *path.split("/"))

    def _temporary(self) -> str:
        return self._path(f"{TEMPORARY}/{uuid.uuid4().hex}")

    def _write_temporary(self, data: bytes) -> str:
        temporary = self._temporary()
        try:
            with self._create_exclusively(temporary) as file:
                _write_all(file, data)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return temporary

    def _create_exclusively(self, path: str) -> IO[bytes]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            _make_private(os.path.dirname(path))
            descriptor = os.open(path, flags, 0o600)
        return os.fdopen(descriptor, "wb", buffering=0)

    def _rename(self, source: str, path: str) -> None:
        target = self._path(path)
        try:
            os.replace(source, target)
        except FileNotFoundError:
            _make_private(os.path.dirname(target))
            os.replace(source, target)


def _write_all(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view.nbytes:
        view = view[file.write(view) :]


def _make_private(folder: str) -> None:
    """Make a folder and those above it for their owner only (os.makedirs: the last one)."""
    if not os.path.isdir(folder):
        _make_private(os.path.dirname(folder))
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)


def why_shared(status: os.stat_result) -> str | None:
    """Why others may write to a local file or folder (None if they cannot)."""
    if os.name == "nt":
        return None  # the mode bits say nothing about access there
    if status.st_uid not in (os.geteuid(), 0):
        return "it belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "its group or everybody may write to it (chmod go-w makes it private)"
    return None
