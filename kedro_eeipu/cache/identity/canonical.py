"""The canonical form of values: what a digest is made of.

Every value is written to the hash as a tag, a length and its bytes, so no two values can run into
each other. What has no canonical form raises :class:`Unidentifiable`; there is no fallback. The
digest of a type, which depends on its code, is handed in.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import hashlib
import math
import pathlib
import struct
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kedro_eeipu.cache.identity.instances import own_state, slots

__all__ = [
    "MovesOn",
    "TypeDigest",
    "Unidentifiable",
    "canonical_digest",
    "combine",
    "tagged",
    "type_name",
]

TypeDigest = Callable[[type], bytes]


class Unidentifiable(Exception):
    """Something whose identity cannot be established; whoever depends on it bypasses the cache.

    Attributes:
        reason: a sentence for a human.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MovesOn(Unidentifiable):
    """A generator or an open file: what reads from it next gets what comes next."""


def _no_types(kind: type) -> bytes:
    raise Unidentifiable(f"values of type {type_name(kind)} have no canonical form")


def canonical_digest(value: Any, type_digest: TypeDigest = _no_types) -> str:
    """Return the sha256, in hex, of the canonical form of ``value``.

    Sets are free of order; lists are not, nor are dictionaries, whose order code may see. ``1``,
    ``1.0``, ``True`` and ``"1"`` are four values; all NaNs are one value; ``-0.0`` is not ``0.0``.

    Args:
        value: The value.
        type_digest: Gives the digest of the type of a dataclass, an enumeration or a pydantic
            model. Without it, only values of Python's and numpy's own types are allowed.

    Raises:
        Unidentifiable: for any other type, and for a container that contains itself.
    """
    return _Canonical(type_digest).digest(value, frozenset()).hex()


def combine(**parts: str | Mapping[Any, Any] | Sequence[Any]) -> str:
    """Return one key, 64 hex digits, for the named ``parts`` (nested mappings and sequences).

    The parts have no order; what is in them has.
    """
    return canonical_digest({"key": _plain(dict(sorted(parts.items())))})


def _plain(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {str(name): _plain(value) for name, value in part.items()}
    if isinstance(part, Sequence) and not isinstance(part, str | bytes):
        return [_plain(value) for value in part]
    return part


class _Canonical:
    """Digests values; nested ones with ``above``, the ids of the containers around them."""

    def __init__(self, type_digest: TypeDigest) -> None:
        self._type_digest = type_digest

    def digest(self, value: Any, above: frozenset[int]) -> bytes:
        kind = type(value)
        write = _SCALARS.get(kind)
        if write is not None:
            return tagged(kind.__name__, write(value))
        if id(value) in above:
            raise Unidentifiable("a container that contains itself has no canonical form")
        above = above | {id(value)}
        if kind in (list, tuple):
            return tagged(kind.__name__, *(self.digest(item, above) for item in value))
        if kind in (set, frozenset):
            return tagged(kind.__name__, *sorted(self.digest(item, above) for item in value))
        if kind is dict:
            pairs = value.items()
            return tagged(
                "dict", *(self.digest(k, above) + self.digest(v, above) for k, v in pairs)
            )
        if isinstance(value, enum.Enum):
            return tagged("enum", self._type_digest(kind), value.name.encode())
        if isinstance(value, pathlib.PurePath):
            return tagged("path", str(value).encode("utf-8", "surrogateescape"))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            parts = [self._type_digest(kind), self.digest(fields, above)]
            # What __post_init__ has set, from an InitVar for example.
            found = {**slots(value), **own_state(value)}
            others = {n: v for n, v in found.items() if n not in fields}
            if others:
                parts.append(self.digest(dict(sorted(others.items())), above))
            return tagged("dataclass", *parts)
        if _is_a(value, "pydantic", "BaseModel"):
            state = self.digest(_pydantic_state(value), above)
            return tagged("pydantic", self._type_digest(kind), state)
        if _is_a(value, "numpy", "generic"):
            return _numpy_scalar(value)
        if _is_a(value, "numpy", "ndarray") and kind is sys.modules["numpy"].ndarray:
            return self._numpy_array(value, above)
        raise Unidentifiable(f"values of type {type_name(kind)} have no canonical form")

    def _numpy_array(self, value: Any, above: frozenset[int]) -> bytes:
        shape = repr(value.shape).encode()
        if value.dtype.hasobject:
            if value.dtype.kind != "O":
                raise Unidentifiable("numpy records that hold objects have no canonical form")
            return tagged("numpy.objects", shape, *(self.digest(i, above) for i in value.flat))
        layout = repr(value.dtype.descr).encode()
        content = hashlib.sha256()
        contiguous = sys.modules["numpy"].ascontiguousarray(value)
        content.update(contiguous.reshape(-1).view("u1").data if contiguous.size else b"")
        return tagged("numpy.ndarray", layout, shape, content.digest())


def tagged(tag: str, *fields: bytes) -> bytes:
    """Digest of fields under a tag; neither can run into the other."""
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
    return tagged("numpy.generic", value.dtype.str.encode(), b"nan" if is_nan else value.tobytes())


def type_name(kind: type) -> str:
    """A type as ``module.qualname``."""
    return f"{kind.__module__}.{kind.__qualname__}"
