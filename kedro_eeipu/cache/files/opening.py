"""The files below a root, by where it is: a folder, or any fsspec filesystem."""

from __future__ import annotations

import os
from typing import Any

import fsspec

from kedro_eeipu.cache.files.base import Files
from kedro_eeipu.cache.files.local import LocalFiles
from kedro_eeipu.cache.files.mirrored import MirroredFiles
from kedro_eeipu.cache.files.remote import RemoteFiles

__all__ = ["is_remote", "open_files"]


def is_remote(root: str) -> bool:
    """Whether a root is on another machine."""
    return fsspec.utils.get_protocol(root) not in ("file", "local", "memory")


def open_files(
    root: str, storage_options: dict[str, Any] | None = None, copies: str | None = None
) -> Files:
    """Return the files below ``root``, a local path or an fsspec URL.

    Args:
        root: Local path or URL.
        storage_options: For the filesystem of the URL.
        copies: Local folder for copies of blobs that are on another machine.
    """
    fs, path = fsspec.core.url_to_fs(root, **(storage_options or {}))
    protocols = fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)
    if "file" in protocols:
        return LocalFiles(os.path.abspath(path))
    if copies is not None and is_remote(root):
        return MirroredFiles(fs, path.rstrip("/"), LocalFiles(os.path.abspath(copies)))
    return RemoteFiles(fs, path.rstrip("/"))
