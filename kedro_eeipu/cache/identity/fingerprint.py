"""Digests of values whose types the project may define."""

from __future__ import annotations

from typing import Any

from kedro_eeipu.cache.identity.canonical import canonical_digest
from kedro_eeipu.cache.identity.code import type_digest

__all__ = ["fingerprint"]


def fingerprint(value: Any) -> str:
    """Return the sha256, in hex, of the canonical form of ``value``.

    Two values have the same fingerprint only if they have the same type and the same content. An
    instance of a dataclass, an enumeration or a pydantic model is its type (with the code of that
    type) and its fields.

    Raises:
        Unidentifiable: for a type without a canonical form, and for a container that contains
            itself.
    """
    return canonical_digest(value, type_digest)
