"""The few file operations that the store needs, on a local folder or on any fsspec filesystem.

Paths are relative to the root, with slashes. Files appear whole or not at all: locally they are
written under a temporary name and renamed, remotely they are one request.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from typing import IO, Any, Protocol

import fsspec
from fsspec import AbstractFileSystem

from kedro_eeipu.cache.layout import BLOBS, RECORDS, TEMPORARY, Entry

__all__ = [
    "Files",
    "LocalFiles",
    "RemoteFiles",
    "is_fresh",
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

    def open(self, path: str) -> IO[bytes]: ...

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


def version_of(status: os.stat_result) -> tuple[int, ...]:
    """What changes when a local file does."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_fresh(status: os.stat_result) -> bool:
    """Whether a write that follows could leave the file's version as it is."""
    return time.time() - max(status.st_mtime_ns, status.st_ctime_ns) / 1e9 < _FRESH_SECONDS


def open_files(root: str, storage_options: dict[str, Any] | None = None) -> Files:
    """Return the files below ``root``, a local path or an fsspec URL."""
    fs, path = fsspec.core.url_to_fs(root, **(storage_options or {}))
    protocols = fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)
    if "file" in protocols:
        return LocalFiles(os.path.abspath(path))
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


class RemoteFiles:
    """Files on an fsspec filesystem."""

    def __init__(self, fs: AbstractFileSystem, root: str) -> None:
        self._fs, self._root = fs, root

    def distrust(self) -> str | None:
        return None if self._fs.protocol == "memory" else "it is remote"

    def read(self, path: str) -> bytes:
        return self._fs.cat_file(self._path(path))

    def open(self, path: str) -> IO[bytes]:
        return io.BytesIO(self.read(path))

    def size(self, path: str) -> int | None:
        try:
            self._forget(path)
            return int(self._fs.info(self._path(path))["size"])
        except FileNotFoundError:
            return None

    def create(self, path: str, data: bytes) -> bool:
        self._make_folder(path)
        try:
            self._fs.pipe_file(self._path(path), data, mode="create")
        except FileExistsError:
            return False
        except (TypeError, NotImplementedError, ValueError):  # no conditional writes
            if self.size(path) is not None:
                return False
            self._fs.pipe_file(self._path(path), data)
        return True

    def replace(self, path: str, data: bytes) -> None:
        self._make_folder(path)
        self._fs.pipe_file(self._path(path), data)

    def publish(self, produce: Callable[[IO[bytes]], str]) -> None:
        content = io.BytesIO()
        path = produce(content)
        if self.size(path) is None:
            self.replace(path, content.getvalue())

    def touch(self, path: str) -> None:
        """Objects cannot be touched; their age is that of their content."""

    def move(self, source: str, target: str) -> None:
        self._make_folder(target)
        self._fs.mv(self._path(source), self._path(target))

    def delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(path))

    def list(self, folder: str) -> Iterator[Entry]:
        self._fs.invalidate_cache()
        try:
            found = self._fs.find(self._path(folder), detail=True)
        except FileNotFoundError:
            return
        for name, info in found.items():
            path = str(name)[len(self._root) :].lstrip("/")
            yield Entry(path, int(info.get("size") or 0), self._changed(info))

    def now(self) -> float:
        path = f"{TEMPORARY}/{uuid.uuid4().hex}"
        self.replace(path, b"")
        try:
            return self._changed(self._fs.info(self._path(path)))
        finally:
            self.delete(path)

    @staticmethod
    def _changed(info: dict[str, Any]) -> float:
        for name in ("LastModified", "last_modified", "updated", "mtime", "created"):
            moment = info.get(name)
            if isinstance(moment, str):
                with contextlib.suppress(ValueError):
                    moment = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00"))
            if isinstance(moment, datetime.datetime):
                return moment.timestamp()
            if isinstance(moment, int | float):
                return float(moment)
        return float("inf")  # unknown: never old enough to be swept

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _forget(self, path: str) -> None:
        self._fs.invalidate_cache(self._fs._parent(self._path(path)))

    def _make_folder(self, path: str) -> None:
        self._fs.makedirs(self._fs._parent(self._path(path)), exist_ok=True)
