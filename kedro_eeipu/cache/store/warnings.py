"""What is logged of the storage's troubles: each kind of trouble once for a store."""

from __future__ import annotations

import logging
import threading

from kedro_eeipu.cache.store.errors import Unstorable, in_words

__all__ = ["Warnings"]

logger = logging.getLogger("kedro_eeipu.cache.store.store")


class Warnings:
    """Logs warnings about one store.

    Args:
        root: Where the store is.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._logged: set[str] = set()

    def once(self, kind: str, message: str) -> None:
        """Log a message, the first time that something of its kind happens."""
        with self._lock:
            if kind in self._logged:
                return
            self._logged.add(kind)
        logger.warning("%s", message)

    def unreadable(self, error: Exception) -> None:
        """Log that the store cannot be read."""
        reason = f"the cache at {self._root} cannot be read: {in_words(error)}"
        self.once(f"read {in_words(error)}", reason)

    def unwritable(self, error: Exception) -> Unstorable:
        """Log that the store cannot be written; returns what to raise."""
        reason = f"the cache at {self._root} cannot be written: {in_words(error)}"
        self.once(f"write {in_words(error)}", reason)
        return Unstorable(reason)
