"""Numbers in an ``eeipu`` block."""

from __future__ import annotations

import contextlib
import math
from typing import Any

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
                return f"YAML reads {value} as text: write {read(value)!r}."
    return ""
