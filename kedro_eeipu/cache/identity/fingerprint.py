"""Digests of values and of files: what a cache key is made of.

Two values have the same fingerprint only if they have the same type and the same content. Every
value is written to the hash as a tag, a length and its bytes, so no two values can run into each
other. What has no such canonical form raises :class:`Unidentifiable`; there is no fallback.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import hashlib
import math
import os
import pathlib
import stat
import struct
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from fsspec import AbstractFileSystem

from kedro_eeipu.cache.files.opening import is_fresh, version_of

__all__ = ["Unidentifiable", "combine", "content_token", "fingerprint"]

_CHUNK = 1 << 20


class Unidentifiable(Exception):
    """Something whose identity cannot be established; whoever depends on it bypasses the cache.

    Attributes:
        reason: a sentence for a human.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# --- values ---------------------------------------------------------------------------------------


def fingerprint(value: Any) -> str:
    """Return the sha256, in hex, of the canonical form of ``value``.

    Sets are free of order; lists are not, nor are dictionaries, whose order code may see. ``1``,
    ``1.0``, ``True`` and ``"1"`` are four values; all NaNs are one value; ``-0.0`` is not ``0.0``.
    An instance of a dataclass, an enumeration or a pydantic model is its type (with the code of
    that type) and its fields.

    Raises:
        Unidentifiable: for any other type, and for a container that contains itself.
    """
    return _digest(value, frozenset()).hex()


def combine(**parts: str | Mapping | Sequence) -> str:
    """Return one key, 64 hex digits, for the named ``parts`` (nested mappings and sequences).

    The parts have no order; what is in them has.
    """
    return fingerprint({"key": _plain(dict(sorted(parts.items())))})


def _plain(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {str(name): _plain(value) for name, value in part.items()}
    if isinstance(part, Sequence) and not isinstance(part, str | bytes):
        return [_plain(value) for value in part]
    return part


def _digest(value: Any, above: frozenset[int]) -> bytes:
    """Digest of one value; ``above`` are the ids of the containers around it."""
    write = _SCALARS.get(type(value))
    if write is not None:
        return _tagged(type(value).__name__, write(value))
    if id(value) in above:
        raise Unidentifiable("a container that contains itself has no canonical form")
    above = above | {id(value)}
    if type(value) in _CONTAINERS:
        return _tagged(type(value).__name__, *_CONTAINERS[type(value)](value, above))
    if isinstance(value, enum.Enum):
        return _tagged("enum", _type_digest(type(value)), value.name.encode())
    if isinstance(value, pathlib.PurePath):
        return _tagged("path", str(value).encode("utf-8", "surrogateescape"))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _tagged("dataclass", _type_digest(type(value)), _digest(fields, above))
    if _is_a(value, "pydantic", "BaseModel"):
        return _tagged(
            "pydantic", _type_digest(type(value)), _digest(_pydantic_state(value), above)
        )
    if _is_a(value, "numpy", "generic"):
        return _numpy_scalar(value)
    if _is_a(value, "numpy", "ndarray") and type(value) is sys.modules["numpy"].ndarray:
        return _numpy_array(value, above)
    raise Unidentifiable(f"values of type {_type_name(type(value))} have no canonical form")


def _tagged(tag: str, *fields: bytes) -> bytes:
    state = hashlib.sha256()
    for field in (tag.encode(), *fields):
        state.update(struct.pack("<Q", len(field)))
        state.update(field)
    return state.digest()


def _float_bytes(value: float) -> bytes:
    return b"nan" if math.isnan(value) else struct.pack("<d", value)


def _moment_bytes(value: Any) -> bytes:
    zone = getattr(value, "tzinfo", None)
    fold = getattr(value, "fold", 0)
    return f"{value.isoformat()} {fold} {zone!s}".encode()


_SCALARS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"",
    type(Ellipsis): lambda _: b"",
    bool: lambda value: b"1" if value else b"0",
    int: lambda value: str(value).encode() if value.bit_length() < 4096 else hex(value).encode(),
    float: _float_bytes,
    complex: lambda value: _float_bytes(value.real) + b" " + _float_bytes(value.imag),
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: bytes,
    bytearray: bytes,
    range: lambda value: repr((value.start, value.stop, value.step)).encode(),
    datetime.datetime: _moment_bytes,
    datetime.date: _moment_bytes,
    datetime.time: _moment_bytes,
    datetime.timedelta: lambda value: repr(
        (value.days, value.seconds, value.microseconds)
    ).encode(),
    decimal.Decimal: lambda value: b"nan" if value.is_nan() else repr(value.as_tuple()).encode(),
    uuid.UUID: lambda value: value.bytes,
}

_CONTAINERS: dict[type, Callable[[Any, frozenset[int]], list[bytes]]] = {
    list: lambda value, above: [_digest(item, above) for item in value],
    tuple: lambda value, above: [_digest(item, above) for item in value],
    set: lambda value, above: sorted(_digest(item, above) for item in value),
    frozenset: lambda value, above: sorted(_digest(item, above) for item in value),
    dict: lambda value, above: [
        _digest(name, above) + _digest(item, above) for name, item in value.items()
    ],
}


def _is_a(value: Any, module: str, name: str) -> bool:
    """Whether ``value`` is an instance of ``module.name``, without importing ``module``."""
    loaded = sys.modules.get(module)
    kind = getattr(loaded, name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _pydantic_state(model: Any) -> dict[str, Any]:
    return {
        "fields": dict(model.__dict__),
        "extra": getattr(model, "__pydantic_extra__", None),
        "private": getattr(model, "__pydantic_private__", None),
    }


def _numpy_scalar(value: Any) -> bytes:
    if value.dtype.kind == "V" or value.dtype.hasobject:
        raise Unidentifiable("numpy records have no canonical form")
    is_nan = value.dtype.kind in "fc" and bool(value != value)
    return _tagged("numpy.generic", value.dtype.str.encode(), b"nan" if is_nan else value.tobytes())


def _numpy_array(value: Any, above: frozenset[int]) -> bytes:
    shape = repr(value.shape).encode()
    if value.dtype.hasobject:
        if value.dtype.kind != "O":
            raise Unidentifiable("numpy records that hold objects have no canonical form")
        return _tagged("numpy.objects", shape, *(_digest(item, above) for item in value.flat))
    layout = repr(value.dtype.descr).encode()
    content = hashlib.sha256()
    contiguous = sys.modules["numpy"].ascontiguousarray(value)
    content.update(contiguous.reshape(-1).view("u1").data if contiguous.size else b"")
    return _tagged("numpy.ndarray", layout, shape, content.digest())


def _type_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _type_digest(kind: type) -> bytes:
    """Name of a type together with the code of its methods and bases."""
    from kedro_eeipu.cache.identity.code import code_identity

    return _tagged("type", _type_name(kind).encode(), code_identity(kind).digest.encode())


# --- files ----------------------------------------------------------------------------------------

_local_files: dict[tuple, tuple[str, frozenset[str]]] = {}
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
    members = {
        os.path.relpath(file, path).replace(os.sep, "/"): _local_file_digest(file)
        for file in _walk(path)
    }
    return "directory:" + fingerprint(dict(sorted(members.items())))


def _local_file_digest(path: str) -> str:
    return _with_code(*_local_file(os.path.abspath(path)))


def _with_code(digest: str, names: frozenset[str]) -> str:
    """Digest of a file's bytes and of the project code that it names."""
    from kedro_eeipu.cache.identity.pickles import project_code

    return fingerprint([digest, project_code(names)]) if names else digest


def _walk(top: str) -> list[str]:
    """Every file below ``top``, symbolic links followed."""
    files, seen = [], set()

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(top, followlinks=True, onerror=fail):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            raise Unidentifiable(f"{folder} is reached twice through symbolic links")
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        files += [os.path.join(folder, name) for name in sorted(names)]
    return files


def _local_file(path: str) -> tuple[str, frozenset[str]]:
    """Digest of the bytes, and the project code that they name if they are a pickle."""
    for _ in range(3):
        before = os.stat(path)
        if not stat.S_ISREG(before.st_mode):
            raise Unidentifiable(f"{path} is not a regular file")
        identity = (path, *version_of(before))
        known = _local_files.get(identity)
        if known is not None:
            return known
        with open(path, "rb") as file:
            found = (_hash_file(path), _names_in(file))
        if version_of(os.stat(path)) == identity[1:]:
            if not is_fresh(before):
                with _local_files_lock:
                    _local_files[identity] = found
            return found
    raise Unidentifiable(f"{path} keeps changing while it is read")


def _names_in(file: IO[bytes]) -> frozenset[str]:
    from kedro_eeipu.cache.identity.pickles import project_globals

    try:
        return project_globals(file)
    except OverflowError as error:
        raise Unidentifiable(f"which classes are in it cannot be told: {error}") from error


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
    members = {
        str(name)[len(root) :].lstrip("/"): _remote_file_digest(fs, name, details)
        for name, details in fs.find(path, detail=True).items()
    }
    return "directory:" + fingerprint(dict(sorted(members.items())))


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
            return fingerprint([name, checksum, info.get("size")])
    state = hashlib.sha256()
    with fs.open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()
