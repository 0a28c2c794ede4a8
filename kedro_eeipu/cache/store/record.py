"""What the cache remembers of one computation, and its form on disk."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from kedro_eeipu.cache.files.layout import is_digest

__all__ = ["Blob", "InvalidRecord", "Record", "decode", "encode"]

SCHEMA = 1


class InvalidRecord(Exception):
    """Bytes that are not a record under the key and the secret at hand."""


@dataclass(frozen=True)
class Blob:
    """One value, stored or known by how it was made.

    Attributes:
        digest: sha256, in hex, of the serialised value and of the project code its classes run; of
            a recipe, of the key of what made it.
        size: bytes; 0 of a recipe.
        seconds: time it took to serialise and write.
    """

    digest: str
    size: int
    seconds: float

    @property
    def is_recipe(self) -> bool:
        """Whether no bytes are stored: who needs the value has it made again."""
        return self.size == 0 and bool(self.digest)


@dataclass(frozen=True)
class Record:
    """The outputs that a computation had, in order, and what is known about it.

    Attributes:
        key: 64 hex digits.
        outputs: one blob an output; a blob may be known by digest only and not be stored.
        meta: JSON. ``seconds`` (time to compute) steers eviction, the rest is for explanations.
    """

    key: str
    outputs: tuple[Blob, ...]
    meta: dict[str, Any] = field(default_factory=dict)


def encode(record: Record, stored: tuple[bool, ...], secret: bytes | None) -> bytes:
    """Return the file of a record; ``stored`` says which of its blobs were in the store.

    Raises:
        TypeError, ValueError: ``meta`` is not JSON.
    """
    body = {
        "schema": SCHEMA,
        "key": record.key,
        "outputs": [
            {"digest": blob.digest, "size": blob.size, "seconds": blob.seconds, "stored": kept}
            for blob, kept in zip(record.outputs, stored, strict=True)
        ],
        "meta": record.meta,
    }
    signature = _sign(body, secret) if secret else None
    return _canonical({"record": body, "signature": signature})


def decode(data: bytes, key: str, secret: bytes | None) -> tuple[Record, tuple[bool, ...]]:
    """Return the record under ``key`` and which of its blobs were stored with it.

    Raises:
        InvalidRecord: damaged, of another schema, of another key, or not signed with ``secret``.
    """
    try:
        envelope = json.loads(data)
        body = envelope["record"]
        if secret and not _is_signed(body, envelope["signature"], secret):
            raise InvalidRecord("its signature is missing or wrong")
        if body["schema"] != SCHEMA:
            raise InvalidRecord(f"its schema is {body['schema']!r}, not {SCHEMA}")
        if body["key"] != key:
            raise InvalidRecord("it is the record of another key")
        outputs = tuple(_blob(entry) for entry in body["outputs"])
        stored = tuple(bool(entry["stored"]) for entry in body["outputs"])
        if not isinstance(body["meta"], dict):
            raise InvalidRecord("its meta data is not a mapping")
    except InvalidRecord:
        raise
    except Exception as error:
        raise InvalidRecord("it is damaged") from error
    return Record(key, outputs, body["meta"]), stored


def _blob(entry: dict[str, Any]) -> Blob:
    digest, size, seconds = entry["digest"], entry["size"], entry["seconds"]
    if not is_digest(digest):
        raise InvalidRecord("it names a blob that is not a digest")
    if type(size) is not int or size < 0 or not isinstance(seconds, int | float):
        raise InvalidRecord("it describes a blob wrongly")
    return Blob(digest, size, float(seconds))


def _canonical(document: Any) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return text.encode()


def _sign(body: dict[str, Any], secret: bytes) -> str:
    message = b"kedro-eeipu record\0" + _canonical(body)
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def _is_signed(body: dict[str, Any], signature: object, secret: bytes) -> bool:
    return isinstance(signature, str) and hmac.compare_digest(_sign(body, secret), signature)
