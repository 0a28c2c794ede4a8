"""Files on any fsspec filesystem: a bucket, a server, memory."""

from __future__ import annotations

import contextlib
import datetime
import inspect
import io
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from fsspec import AbstractFileSystem

from kedro_eeipu.cache.files.layout import TEMPORARY, Entry

__all__ = ["SMALL", "RemoteFiles"]

_AT_ONCE = 500  # small files that are asked for together
SMALL = 2**18  # bytes that are sent as fast as it is asked whether they are there


class RemoteFiles:
    """Files on an fsspec filesystem."""

    def __init__(self, fs: AbstractFileSystem, root: str) -> None:
        self._fs, self._root = fs, root
        # To read large files in parts, s3fs asks for the size first: two requests more for a file
        # that is not there.
        parts = "max_concurrency" in inspect.signature(fs.cat_file).parameters
        self._whole: dict[str, Any] = {"max_concurrency": 1} if parts else {}

    def distrust(self) -> str | None:
        return None if self._fs.protocol == "memory" else "it is remote"

    def read(self, path: str) -> bytes:
        return bytes(self._fs.cat_file(self._path(path), **self._whole))

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes]:
        contents: dict[str, bytes] = {}
        for start in range(0, len(paths), _AT_ONCE):
            wanted = [self._path(path) for path in paths[start : start + _AT_ONCE]]
            contents |= self._fs.cat(wanted, on_error="omit", **self._whole) if wanted else {}
        return {path: contents[self._path(path)] for path in paths if self._path(path) in contents}

    def open(self, path: str) -> IO[bytes]:
        return io.BytesIO(self._fs.cat_file(self._path(path)))

    def fetch(self, path: str) -> IO[bytes]:
        return self.open(path)

    def size(self, path: str) -> int | None:
        try:
            self._forget(path)
            return int(self._fs.info(self._path(path))["size"])
        except FileNotFoundError:
            return None

    def create(self, path: str, data: bytes) -> bool:
        try:
            self._write(path, data, mode="create")
        except FileExistsError:
            return False
        except (TypeError, NotImplementedError, ValueError):  # no conditional writes
            if self.size(path) is not None:
                return False
            self._write(path, data)
        return True

    def replace(self, path: str, data: bytes) -> None:
        self._write(path, data)

    def publish(self, produce: Callable[[IO[bytes]], str]) -> None:
        content = io.BytesIO()
        path = produce(content)
        if content.tell() <= SMALL:
            self.create(path, content.getvalue())
        elif self.size(path) is None:
            self.replace(path, content.getvalue())

    def touch(self, path: str) -> None:
        """Objects cannot be touched; their age is that of their content."""

    def move(self, source: str, target: str) -> None:
        self._make_folders(target)
        self._fs.mv(self._path(source), self._path(target))

    def delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(path))

    def local_path(self, path: str) -> str | None:
        return None

    def drop_copy(self, path: str) -> bool:
        return False

    def list(self, folder: str) -> Iterator[Entry]:
        self._fs.invalidate_cache()
        try:
            files = self._fs.find(self._path(folder), detail=True)
        except FileNotFoundError:
            return
        for name, info in files.items():
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

    def _write(self, path: str, data: bytes, **options: Any) -> None:
        # Where there are folders, the first write into a new one fails; elsewhere asking for it
        # each time would be a wasted request.
        try:
            self._fs.pipe_file(self._path(path), data, **options)
        except FileNotFoundError:
            self._make_folders(path)
            self._fs.pipe_file(self._path(path), data, **options)

    def _make_folders(self, path: str) -> None:
        """Make the folders of a path, the root among them but never a bucket."""
        folder = self._root
        for part in ("", *path.split("/")[:-1]):
            folder = f"{folder}/{part}" if part else folder
            if "/" in folder.strip("/"):
                with contextlib.suppress(FileExistsError):
                    self._fs.mkdir(folder, create_parents=False)
