"""Whether two values are equal, although their bytes are not."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["same_value"]

_DEEPEST = 20


def same_value(a: Any, b: Any, depth: int = _DEEPEST) -> bool:
    """Whether two values are known to be equal; False where that cannot be told.

    A table that was copied, or loaded from a pickle, may lie in memory in another way than the one
    that a function returned.
    """
    try:
        return _same(a, b, depth)
    except Exception:  # anybody's `==` may raise, or give no truth value
        return False


def _same(a: Any, b: Any, depth: int) -> bool:
    if type(a) is not type(b) or not depth:
        return False
    if isinstance(a, float):
        return bool(a == b) or (a != a and b != b)
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(_same(a[key], b[key], depth - 1) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_same(x, y, depth - 1) for x, y in zip(a, b, strict=True))
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(a, numpy.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype.kind == "O":
            return all(_same(x, y, depth - 1) for x, y in zip(a.flat, b.flat, strict=True))
        return bool(numpy.array_equal(a, b, equal_nan=a.dtype.kind in "fcmM"))
    if pandas is not None and isinstance(a, pandas.DataFrame | pandas.Series | pandas.Index):
        axes = () if isinstance(a, pandas.Index) else zip(a.axes, b.axes, strict=True)
        names = all(x.equals(y) and x.names == y.names for x, y in axes)
        return bool(a.equals(b)) and names
    return bool(a == b)
