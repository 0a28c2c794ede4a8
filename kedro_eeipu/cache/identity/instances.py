"""What an instance is called, and what it holds."""

from __future__ import annotations

import functools
import types
from typing import Any

__all__ = ["label", "own_state", "slots"]


def label(obj: Any) -> str:
    """``module:name`` of something that has a name, or of its class."""
    # A generator has the name of its function, and no module.
    has_name = hasattr(obj, "__qualname__") and hasattr(obj, "__module__")
    named = obj if has_name else type(obj)
    return f"{named.__module__}:{named.__qualname__}"


def own_state(obj: Any) -> dict[str, Any]:
    """Attributes of an instance, except those that are computed from the others when asked for."""
    return {
        name: value
        for name, value in getattr(obj, "__dict__", {}).items()
        if not isinstance(getattr(type(obj), name, None), functools.cached_property)
    }


def slots(obj: Any) -> dict[str, Any]:
    """Attributes of an instance that are in slots."""
    names = [
        name
        for kind in type(obj).__mro__
        for name, entry in vars(kind).items()
        if isinstance(entry, types.MemberDescriptorType)
    ]
    return {name: getattr(obj, name) for name in names if hasattr(obj, name)}
