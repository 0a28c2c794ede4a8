"""What objects keep of the results of their functions and properties."""

from __future__ import annotations

import functools
import gc
import inspect
import types
from typing import Any

from kedro_eeipu.cache.identity.instances import own_state
from kedro_eeipu.cache.identity.objects import PLAIN

__all__ = ["is_mutable", "keepers", "kept_values", "place_of"]


def kept_values(obj: Any) -> list[Any]:
    """What an object keeps of its results, under ``lru_cache`` or a ``cached_property``."""
    if type(obj) is functools._lru_cache_wrapper:
        # The collector reports the table, and keys and results if their number is limited.
        not_kept = (obj.__wrapped__, vars(obj))
        kept = [
            r
            for r in gc.get_referents(obj)
            if not (isinstance(r, type) or type(r) is object or any(r is n for n in not_kept))
        ]
        is_limited = obj.cache_parameters()["maxsize"] is not None
        tables = [r for r in kept if type(r) is dict and _is_table(r, obj, is_limited)][:1]
        if is_limited:
            return [r for r in kept if not any(r is table for table in tables)]
        return [value for table in tables for value in table.values()]
    own = getattr(obj, "__dict__", {})
    if not isinstance(own, dict) or isinstance(obj, type | types.ModuleType | types.FunctionType):
        return []
    return [v for name, v in own.items() if name not in own_state(obj)]


def keepers(obj: Any) -> list[types.CodeType]:
    """The code of functions and properties of which an object keeps results."""
    if type(obj) is functools._lru_cache_wrapper:
        code = getattr(inspect.unwrap(obj), "__code__", None)
        return [code] if obj.cache_info().currsize and isinstance(code, types.CodeType) else []
    own = getattr(obj, "__dict__", {})
    if not isinstance(own, dict) or isinstance(obj, type | types.ModuleType | types.FunctionType):
        return []
    found = (inspect.getattr_static(type(obj), name, None) for name in own)
    return [
        p.func.__code__
        for p in found
        if isinstance(p, functools.cached_property) and hasattr(p.func, "__code__")
    ]


def place_of(code: types.CodeType) -> tuple[str, int]:
    """Where code is: its file and first line."""
    return code.co_filename, code.co_firstlineno


def _is_table(table: dict[Any, Any], function: Any, is_limited: bool) -> bool:
    links = all(type(link).__name__ == "_lru_list_elem" for link in table.values())
    return len(table) == function.cache_info().currsize and (links or not is_limited)


def is_mutable(value: Any) -> bool:
    """Whether a value, or something in it, can be changed in place."""
    if isinstance(value, tuple | frozenset):
        return any(map(is_mutable, value))
    kind = type(value)
    if kind in PLAIN or isinstance(value, type | types.FunctionType | types.ModuleType):
        return False
    return kind.__module__ not in ("datetime", "decimal", "fractions", "pathlib", "re", "uuid")
