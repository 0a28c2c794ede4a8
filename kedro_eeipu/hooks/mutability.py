"""Whether copies of a value still share something that can be changed in place."""

from __future__ import annotations

import sys
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

from kedro_eeipu.cache.identity.origin import origin_of

__all__ = ["deep_copies_share", "holds_mutable"]

_IMMUTABLE = (
    *(str, bytes, int, float, complex, bool, type(None), Decimal, Fraction, UUID, PurePath, Enum),
    *(date, time, timedelta),
)


def deep_copies_share(value: Any, depth: int = 2) -> bool:
    """Whether deep copies of a value may share objects that can be changed in place.

    Those of tables and columns of pandas share the objects in their cells. Those of a class of the
    project that makes its own (``__deepcopy__``) may share whatever they like.
    """
    if depth < 0:
        return False
    copies = getattr(type(value), "__deepcopy__", None)
    if copies is not None and _is_of_project(getattr(copies, "__module__", None)):
        return True
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.Series):
        return value.dtype.kind == "O" and any(map(_is_mutable, value))
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return holds_mutable(value)
    if isinstance(value, dict | list | tuple):
        parts = value.values() if isinstance(value, dict) else value
        return any(deep_copies_share(part, depth - 1) for part in list(parts)[:1000])
    attributes = getattr(value, "__dict__", None)
    return isinstance(attributes, dict) and deep_copies_share(attributes, depth - 1)


def _is_of_project(module: Any) -> bool:
    """Whether a module of this name is project code."""
    return isinstance(module, str) and origin_of(module).is_project


def holds_mutable(value: Any) -> bool:
    """Whether a shallow copy of a value shares objects with it that can be changed in place."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        columns = (value.iloc[:, i] for i, t in enumerate(value.dtypes) if t.kind == "O")
        return any(_is_mutable(cell) for column in columns for cell in column)
    if numpy is not None and isinstance(value, numpy.ndarray):
        return value.dtype.kind == "O" and any(map(_is_mutable, value.flat))
    if isinstance(value, dict):
        return any(map(_is_mutable, value.values()))
    if isinstance(value, list | set):
        return any(map(_is_mutable, value))
    return True


def _is_mutable(value: Any) -> bool:
    if isinstance(value, tuple | frozenset):
        return any(map(_is_mutable, value))
    kind = type(value)
    scalar = kind.__module__ == "numpy" and kind.__name__ != "ndarray"
    return not (
        isinstance(value, _IMMUTABLE) or scalar or kind.__module__.startswith("pandas._lib")
    )
