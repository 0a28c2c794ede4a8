"""What a store holds, without listing it again and again: a bucket is read page by page."""

from __future__ import annotations

import time
from collections.abc import Set

from kedro_eeipu.cache.store.store import Store

__all__ = ["Listing"]

_SHARE = 0.05  # of the time may go into listing


class Listing:
    """Digests of a store's blobs, as of a moment ago.

    A blob that was evicted in that moment is still named. Whoever relies on it finds out when it
    is looked up, as if it had been evicted a moment later.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listed: frozenset[str] = frozenset()
        self._before: frozenset[str] = frozenset()
        self._next = 0.0

    def digests(self, stored: Set[str]) -> frozenset[str]:
        """What is there.

        Args:
            made: Digests of all that is known to have been stored; what is new among them since
                the store was listed counts as being there.
        """
        started = time.monotonic()
        if started >= self._next:
            self._before = frozenset(stored)
            self._listed = self._store.digests()
            ended = time.monotonic()
            self._next = ended + (ended - started) / _SHARE
        return self._listed | (stored - self._before)
