"""What a trial comes to on data that the search never sees.

Kept as an attribute of the study, as confirmations are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["HeldOut", "holdout_attribute", "holdout_in"]

_PREFIX = "eeipu:holdout:"


@dataclass(frozen=True)
class HeldOut:
    """The value of a trial that is declared as ``holdout``.

    Attributes:
        of: Where it was read, as the ``eeipu`` block declares it.
        value: The value, ``None`` if there was none.
        error: Why there was none; empty if there was.
    """

    of: str
    value: float | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return dict(self.__dict__)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> HeldOut:
        """As read back; keys of a later version are passed over."""
        return cls(**{k: v for k, v in stored.items() if k in cls.__dataclass_fields__})


def holdout_attribute(number: int) -> str:
    """The attribute of a study that holds what a trial came to."""
    return f"{_PREFIX}{number}"


def holdout_in(attributes: Mapping[str, Any], number: int) -> HeldOut | None:
    """What the user attributes of a study say about a trial, ``None`` for nothing."""
    stored = attributes.get(holdout_attribute(number))
    return None if stored is None else HeldOut.from_json(stored)
