"""The few file operations that the store needs, on a local folder or on any fsspec filesystem.

Paths are relative to the root, with slashes. Files appear whole or not at all: locally they are
written under a temporary name and renamed, remotely they are one upload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import IO, Protocol

from kedro_eeipu.cache.files.layout import Entry

__all__ = ["Files"]


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

    def local_path(self, path: str) -> str | None:
        """Where a file is on this machine, None if it is elsewhere."""

    def drop_copy(self, path: str) -> bool:
        """Delete this machine's copy of a file that is elsewhere; whether there was one."""
