"""Tokens of files and folders: digests of their content, wherever they are."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import IO, Any

from fsspec import AbstractFileSystem

from kedro_eeipu.cache.files.status import is_fresh, version_of
from kedro_eeipu.cache.identity.canonical import Unidentifiable, canonical_digest
from kedro_eeipu.cache.identity.code import code_identity
from kedro_eeipu.cache.identity.pickles import find, project_globals

__all__ = ["content_token"]

_CHUNK = 1 << 20

_local_files: dict[tuple[Any, ...], tuple[str, frozenset[str]]] = {}
_local_files_lock = threading.Lock()
_PICKLE_SUFFIXES = (".pkl", ".pickle", ".p")


def content_token(fs: AbstractFileSystem, path: str) -> str:
    """Return a digest of the content of a file or of a whole directory.

    The path itself is not part of it, so equal content elsewhere has the same token; in a
    directory the relative names of the files are. A local file is read and hashed (once, as long
    as its size, times and inode stay as they are); a remote one is trusted to its filesystem's
    checksum or strong entity tag where there is one, and read where there is none. Of a pickle, the
    code of the project's classes in it is part of the content.

    Raises:
        Unidentifiable: the path is missing, unreadable, not a regular file, or changes meanwhile.
    """
    try:
        if _is_local(fs):
            return _local_token(str(fs._strip_protocol(path)))
        return _remote_token(fs, path)
    except Unidentifiable:
        raise
    except FileNotFoundError as error:
        raise Unidentifiable(f"{path} does not exist") from error
    except Exception as error:
        raise Unidentifiable(f"{path} cannot be read: {type(error).__name__}") from error


def _is_local(fs: AbstractFileSystem) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return type(fs) is LocalFileSystem


def _local_token(path: str) -> str:
    if not os.path.isdir(path):
        return "file:" + _local_file_digest(path)
    files = {os.path.relpath(file, path).replace(os.sep, "/"): file for file in _walk(path)}
    members = {name: _local_file_digest(files[name]) for name in _without_caches(files)}
    return "directory:" + canonical_digest(dict(sorted(members.items())))


def _local_file_digest(path: str) -> str:
    return _with_code(*_local_file(os.path.abspath(path)))


def _with_code(digest: str, names: frozenset[str]) -> str:
    """Digest of a file's bytes and of the project code that it names."""
    return canonical_digest([digest, _project_code(names)]) if names else digest


def _walk(top: str) -> list[str]:
    """Every file below ``top``, symbolic links followed."""
    files, visited = [], set()

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(top, followlinks=True, onerror=fail):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            raise Unidentifiable(f"{folder} is reached twice through symbolic links")
        visited.add((status.st_dev, status.st_ino))
        folders.sort()
        files += [os.path.join(folder, name) for name in sorted(names)]
    return files


def _without_caches(names: Iterable[str]) -> list[str]:
    """Names of files without those in which Hugging Face keeps results beside its data."""
    names = set(names)
    folders = {name.rpartition("/")[0] for name in names if name.endswith("state.json")}
    datasets = {f for f in folders if f"{f}/dataset_info.json".lstrip("/") in names}
    return [
        name
        for name in names
        if name.rpartition("/")[0] not in datasets
        or not fnmatchcase(name.rpartition("/")[2], "cache-*.arrow")
    ]


def _local_file(path: str) -> tuple[str, frozenset[str]]:
    """Digest of the bytes, and the project code that they name if they are a pickle."""
    for _ in range(3):
        before = os.stat(path)
        if not stat.S_ISREG(before.st_mode):
            raise Unidentifiable(f"{path} is not a regular file")
        identity = (path, *version_of(before))
        remembered = _local_files.get(identity)
        if remembered is not None:
            return remembered
        with open(path, "rb") as file:
            facts = (_hash_file(path), _names_in(file))
        if version_of(os.stat(path)) == identity[1:]:
            if not is_fresh(before):
                with _local_files_lock:
                    _local_files[identity] = facts
            return facts
    raise Unidentifiable(f"{path} keeps changing while it is read")


def _names_in(file: IO[bytes]) -> frozenset[str]:
    try:
        return project_globals(file)
    except OverflowError as error:
        raise Unidentifiable(f"which classes are in it cannot be determined: {error}") from error


def _hash_file(path: str) -> str:
    state = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        buffer = memoryview(bytearray(_CHUNK))
        while count := file.readinto(buffer):
            state.update(buffer[:count])
    return state.hexdigest()


def _remote_token(fs: AbstractFileSystem, path: str) -> str:
    fs.invalidate_cache()
    info = fs.info(path)
    if info["type"] != "directory":
        return "file:" + _remote_file_digest(fs, path, info)
    root = str(info["name"]).rstrip("/")
    found = {
        str(name)[len(root) :].lstrip("/"): (name, details)
        for name, details in fs.find(path, detail=True).items()
    }
    members = {name: _remote_file_digest(fs, *found[name]) for name in _without_caches(found)}
    return "directory:" + canonical_digest(dict(sorted(members.items())))


def _remote_file_digest(fs: AbstractFileSystem, path: str, info: dict[str, Any]) -> str:
    names: frozenset[str] = frozenset()
    if path.endswith(_PICKLE_SUFFIXES):
        with fs.open(path, "rb") as file:
            names = _names_in(file)
    return _with_code(_remote_content(fs, path, info), names)


def _remote_content(fs: AbstractFileSystem, path: str, info: dict[str, Any]) -> str:
    for name in ("md5Hash", "content_md5", "ContentMD5", "ETag", "etag"):
        checksum = info.get(name)
        if isinstance(checksum, bytes | bytearray):
            checksum = bytes(checksum).hex()
        if isinstance(checksum, str) and checksum and not checksum.startswith("W/"):
            return canonical_digest([name, checksum, info.get("size")])
    state = hashlib.sha256()
    with fs.open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def _project_code(names: frozenset[str]) -> dict[str, str]:
    """Return the digests of the code behind ``names``, which is imported for it.

    Raises:
        Unidentifiable: the code cannot be identified.
    """
    code = {name: find(name) for name in names}
    return {n: "absent" if f is None else code_identity(f).digest for n, f in code.items()}
