"""What is noted when a `kedro` process begins, before any code of the project is imported.

Kedro calls `note` first (entry point `kedro.init`), in every command of every project, so it does
next to nothing.
"""

from __future__ import annotations

import random
from typing import Any

__all__ = ["note", "random_state"]

_state: list[Any] = []


def note() -> None:
    """Note the state of Python's random generator, to see later whether it was seeded."""
    _state[:] = random.getstate()


def random_state() -> list[Any] | None:
    """The state as `random_generators` reads it, ``None`` if none was noted."""
    if not _state:
        return None
    version, words, gauss = _state
    return [version, list(words), gauss]
