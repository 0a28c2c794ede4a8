"""How numbers and values are written for people: on the terminal, in tables and in the report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import yaml

__all__ = ["counted", "did_you_mean", "duration", "in_bytes", "parsed_duration", "scalar"]

_UNITS = ("B", "KB", "MB", "GB", "TB")


def duration(seconds: float) -> str:
    """Seconds as a person would say them: ``0.05 s``, ``90.0 s``, ``2.5 min``, ``3.0 d``."""
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    for unit, length in (("min", 60), ("h", 3600)):
        if seconds < 120 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 86400:.1f} d"


def parsed_duration(text: object) -> float:
    """Seconds of a duration such as ``90``, ``90s``, ``30min``, ``1.5h``; NaN for other text."""
    written = str(text).strip().lower()
    number = written.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = written[len(number) :].strip()
    factors = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
    try:
        seconds = float(number) * factors[unit]
    except (ValueError, KeyError):
        return math.nan
    return seconds if 0 < seconds < math.inf and not isinstance(text, bool) else math.nan


def in_bytes(size: float) -> str:
    """A size as people write it: 20 GB."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {_UNITS[unit]}" if unit else f"{size:.0f} B"


def counted(number: float, noun: str) -> str:
    """How many of something: ``1 trial``, ``2.5 trials``."""
    written = f"{number:g}" if isinstance(number, float) else str(number)
    return f"{written} {noun}" if number == 1 else f"{written} {noun}s"


def scalar(value: Any) -> str:
    """A parameter's value as YAML would write it in one line, floats to six digits."""
    if isinstance(value, float):
        return f"{value:.6g}"
    written = yaml.safe_dump(value, width=math.inf, default_flow_style=True, sort_keys=False)
    return str(written).splitlines()[0]


def did_you_mean(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str:
    """A question that names the most similar of the candidates, empty where none is similar.

    Args:
        name: What was written.
        candidates: What could have been meant.
        cutoff: How similar it must be, from 0 (anything) to 1 (equal).
    """
    close = get_close_matches(name, list(candidates), n=1, cutoff=cutoff)
    return f"Did you mean '{close[0]}'?" if close else ""
