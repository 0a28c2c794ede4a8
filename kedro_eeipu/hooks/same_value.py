"""Whether two values are equal, although their bytes are not."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["same_value"]

_DEEPEST = 200


def same_value(a: Any, b: Any) -> bool:
    """Whether two values are known to be equal; False if that is unknown.

    A table that was copied, or loaded from a pickle, may have another memory layout than the
    one that a function returned. An object whose class does not say what is equal has the value
    of its parts, as a pickle takes it apart.
    """
    try:
        return _Comparison().same(a, b, _DEEPEST)
    except Exception:  # anybody's `==` may raise, or give no truth value
        return False


class _Comparison:
    """One comparison; pairs of objects that it has begun with count as equal inside themselves."""

    def __init__(self) -> None:
        # With the objects, so that none goes and leaves its id to another.
        self._begun: dict[tuple[int, int], tuple[Any, Any]] = {}

    def same(self, a: Any, b: Any, depth: int) -> bool:
        if type(a) is not type(b) or not depth:
            return False
        if isinstance(a, float):
            return bool(a == b) or (a != a and b != b)
        if isinstance(a, Mapping) and type(a).__reduce_ex__ is object.__reduce_ex__:
            return list(a) == list(b) and all(self.same(a[key], b[key], depth - 1) for key in a)
        if type(a) in (list, tuple):
            return len(a) == len(b) and self._all_same(a, b, depth - 1)
        numpy, pandas, torch = (sys.modules.get(name) for name in ("numpy", "pandas", "torch"))
        if numpy is not None and isinstance(a, numpy.ndarray):
            if a.dtype != b.dtype or a.shape != b.shape:
                return False
            if a.dtype.kind == "O":
                return self._all_same(a.flat, b.flat, depth - 1)
            equal = bool(numpy.array_equal(a, b, equal_nan=a.dtype.kind in "fcmM"))
            return equal or (a.dtype.kind == "V" and a.tobytes() == b.tobytes())
        if pandas is not None and isinstance(a, pandas.DataFrame | pandas.Series | pandas.Index):
            return self._same_tables(a, b, depth)
        if torch is not None and isinstance(a, torch.Tensor):
            if a.dtype != b.dtype or a.shape != b.shape:
                return False
            floats = a.is_floating_point()
            return bool(
                torch.equal(a, b) or (floats and torch.allclose(a, b, 0.0, 0.0, equal_nan=True))
            )
        try:
            equal = bool(a == b)
        except Exception:
            equal = False
        return equal or (type(a).__module__ != "builtins" and self._same_parts(a, b, depth))

    def _all_same(self, a: Any, b: Any, depth: int) -> bool:
        return all(self.same(x, y, depth) for x, y in zip(a, b, strict=True))

    def _same_tables(self, a: Any, b: Any, depth: int) -> bool:
        if not hasattr(a, "axes"):
            return bool(a.equals(b))
        axes = zip(a.axes, b.axes, strict=True)
        if not all(x.equals(y) and x.names == y.names for x, y in axes):
            return False
        # `equals` cannot compare what is in the cells of a column of objects.
        return bool(a.equals(b)) or all(
            x.dtype == y.dtype and (x.equals(y) or self.same(x.to_numpy(), y.to_numpy(), depth - 1))
            for x, y in zip(_columns(a), _columns(b), strict=True)
        )

    def _same_parts(self, a: Any, b: Any, depth: int) -> bool:
        if (id(a), id(b)) in self._begun:
            return True
        self._begun[id(a), id(b)] = (a, b)
        parts, others = a.__reduce_ex__(4), b.__reduce_ex__(4)
        if isinstance(parts, str) or isinstance(others, str):
            return bool(parts == others)
        parts, others = map(_listed, (parts, others))
        arguments, *contents = parts[1:]
        if len(arguments) < 2 and not any(contents):  # it is told from others by being itself
            return a is b
        return parts[0] is others[0] and self.same(parts[1:], others[1:], depth - 1)


def _columns(table: Any) -> Iterator[Any]:
    if table.ndim == 1:
        yield table
    else:
        for i in range(table.shape[1]):
            yield table.iloc[:, i]


def _listed(parts: tuple[Any, ...]) -> list[Any]:
    """How an object is made and what it then holds, its items as lists."""
    function, arguments, state, items, pairs = (*parts, None, None, None)[:5]
    return [function, arguments, state, list(items or ()), [list(pair) for pair in pairs or ()]]
