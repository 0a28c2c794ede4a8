"""Keep a store within a size, cheaply: it is listed only when it may have outgrown it."""

from __future__ import annotations

from kedro_eeipu.cache.store.store import Store

__all__ = ["SizeLimit"]

# A collection makes more room than is needed now, else every trial after it would need another.
_FILLED = 0.9


class SizeLimit:
    """Collects a store when what was written since the last look may exceed its limit.

    Args:
        store: The store.
        max_size: Bytes that its blobs may take together, ``None`` for no limit.
    """

    def __init__(self, store: Store, max_size: int | None) -> None:
        self._store = store
        self._max_size = max_size
        self._size: int | None = None

    def written(self, size: int) -> None:
        """Account for so many bytes of new blobs, and make room if they were too many.

        Blobs that were there already, and those of other processes, make the account differ from
        what really is in the store; each collection sets it right.
        """
        if self._max_size is None or size == 0:
            return
        if self._size is not None:
            self._size += size
        if self._size is None or self._size > self._max_size:
            self._size = self._store.gc(int(_FILLED * self._max_size)).size
