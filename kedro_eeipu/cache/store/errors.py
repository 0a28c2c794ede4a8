"""Why a value cannot be stored or had, and errors of the storage in words."""

from __future__ import annotations

import errno

__all__ = ["CacheMiss", "Unstorable", "in_words"]


class Unstorable(Exception):
    """A value or record that cannot be stored.

    Attributes:
        reason: Why, for a human.
        no_bytes: Whether there are no bytes that stand for the value: it is lazy, or cannot be
            pickled.
    """

    def __init__(self, reason: str, *, no_bytes: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.no_bytes = no_bytes


class CacheMiss(Exception):
    """A blob that cannot be had after all; ``reason`` says why, for a human."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def in_words(error: Exception) -> str:
    """An error in a few words, without the paths that messages of OSError hold."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"{errno.errorcode.get(error.errno, error.errno)} {error.strerror}"
    return f"{type(error).__name__}: {error}"
