"""Files in a local folder."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from kedro_eeipu.cache.files.layout import BLOBS, RECORDS, TEMPORARY, Entry
from kedro_eeipu.cache.files.status import why_shared

__all__ = ["LocalFiles"]


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
        contents = {}
        for path in paths:
            with contextlib.suppress(OSError):
                contents[path] = self.read(path)
        return contents

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

    def local_path(self, path: str) -> str | None:
        return self._path(path)

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
