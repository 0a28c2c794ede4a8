"""What is noted beside the records: what was verified of them, and what is not relied upon.

A note is a small file ``notes/<kind>/<2 hex>/<key>.json``, written and signed as a record is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from kedro_eeipu.cache.files import layout
from kedro_eeipu.cache.files.base import Files
from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store.record import InvalidRecord, Record, decode, encode

__all__ = ["DOUBTS", "VARYING", "VERIFIED", "WORLDS", "Notes"]

VERIFIED = layout.VERIFIED
DOUBTS = layout.DOUBTS
VARYING = "varying"
WORLDS = "worlds"
_SHARE = 0.02  # of the time may go into listing


class Notes:
    """The notes of a store. Trouble with the storage is never raised: nothing is noted then.

    Args:
        files: Gives the files of the store, which may not open.
        secret: Signs them, as it signs records.
        is_trusted: Whether what is there may be relied upon.
        trouble: Says that the storage has raised an error.
    """

    def __init__(
        self,
        files: Callable[[], Files],
        secret: bytes | None,
        is_trusted: Callable[[], bool],
        trouble: Callable[[Exception], None],
    ) -> None:
        self._files = files
        self._secret = secret
        self._is_trusted = is_trusted
        self._trouble = trouble
        self._listed: dict[str, tuple[float, frozenset[str]]] = {}

    def put(self, kind: str, key: str, content: Mapping[str, Any]) -> None:
        """Note something of a key; it replaces an earlier note of the kind."""
        if not self._is_trusted():
            return
        note = Record(_inner(kind, key), (), dict(content))
        try:
            self._files().replace(layout.note_path(kind, key), encode(note, (), self._secret))
        except Exception as error:
            self._trouble(error)
        self._listed.pop(kind, None)

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """What is noted of a key, ``None`` for nothing."""
        if not self._is_trusted():
            return None
        try:
            data = self._files().read(layout.note_path(kind, key))
            return decode(data, _inner(kind, key), self._secret)[0].meta
        except (FileNotFoundError, NotADirectoryError, InvalidRecord):
            return None
        except Exception as error:
            self._trouble(error)
            return None

    def keys(self, kind: str) -> frozenset[str]:
        """The keys of which there is a note of this kind.

        A bucket is slow to list, so it is asked again only when that costs little of the time.
        """
        again, keys = self._listed.get(kind, (0.0, frozenset()))
        started = time.monotonic()
        if started < again:
            return keys
        try:
            entries = self._files().list(f"{layout.NOTES}/{kind}")
            keys = frozenset(layout.noted_key(entry) for entry in entries)
        except Exception as error:
            self._trouble(error)
        ended = time.monotonic()
        self._listed[kind] = (ended + (ended - started) / _SHARE, keys)
        return keys


def _inner(kind: str, key: str) -> str:
    """The key inside the file: a note is no record, and none of another kind."""
    return combine(note=kind, of=key)
