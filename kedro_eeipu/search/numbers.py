"""Numbers in an ``eeipu`` block."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import yaml

__all__ = ["is_finite", "text_number_remedy"]


def is_finite(value: Any) -> bool:
    """Whether a value is a number, and not NaN or infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, int) or math.isfinite(value)


def text_number_remedy(value: Any) -> str:
    """What to write in place of a number in quotes; empty for anything else."""
    for read in (int, float):
        with contextlib.suppress(ValueError, TypeError):
            if isinstance(value, str):
                quoted = not isinstance(yaml.safe_load(value), str)
                what = "In quotes it is text" if quoted else f"YAML reads {value} as text"
                return f"{what}: write {read(value)!r}."
    return ""
