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

__all__ = ["holds_mutable", "holds_mutable_cells"]

_IMMUTABLE = (
    *(str, bytes, int, float, complex, bool, type(None), Decimal, Fraction, UUID, PurePath, Enum),
    *(date, time, timedelta),
)


def holds_mutable_cells(value: Any, depth: int = 2) -> bool:
    """Whether a value is a table or column of pandas, or holds one, with mutable cells."""
    pandas = sys.modules.get("pandas")
    if pandas is None or depth < 0:
        return False
    if isinstance(value, pandas.Series):
        return value.dtype.kind == "O" and any(map(_is_mutable, value))
    if isinstance(value, pandas.DataFrame):
        return holds_mutable(value)
    parts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list | tuple):
        return False
    return any(holds_mutable_cells(part, depth - 1) for part in list(parts)[:1000])


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
