"""What code says about itself, not what it does: annotations, docstrings, text, registrations."""

from __future__ import annotations

import _abc
import inspect
import types
from typing import Any

from kedro_eeipu.cache.identity.bytecode import code_facts
from kedro_eeipu.cache.identity.canonical import type_name

__all__ = ["own_annotations", "own_doc", "registered", "source"]


def own_annotations(owner: Any) -> dict[str, Any]:
    """The annotations that a function, class or module has itself."""
    annotate = getattr(owner, "__annotate__", None)
    if isinstance(annotate, types.FunctionType):  # from Python 3.14 on
        try:
            return dict(annotate(1))
        except Exception:  # a name that only a type checker has
            return {"annotate": code_facts(annotate.__code__).digest.hex()}
    hints = vars(owner).get("__annotations__") if isinstance(owner, type) else None
    if hints is None:
        hints = getattr(owner, "__annotations__", None) or {}
    return dict(hints)


def own_doc(owner: Any) -> str | None:
    """The docstring that a function, class or module has itself."""
    doc = vars(owner).get("__doc__") if isinstance(owner, type) else owner.__doc__
    return doc if isinstance(doc, str) else None


def source(owner: Any) -> str:
    """The text of a function, class or module, empty where it cannot be had."""
    try:
        return inspect.getsource(owner)
    except (OSError, TypeError):
        return ""


def registered(kind: Any) -> list[str]:
    """Names of the classes that were registered with an abstract base class."""
    classes = [reference() for reference in _abc._get_dump(kind)[0]]
    return sorted(type_name(c) for c in classes if c is not None)
