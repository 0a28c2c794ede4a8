"""What is noted beside the records: what was verified of them, and what is not relied upon.

A note is a small file ``notes/<kind>/<2 hex>/<key>.json``, written and signed as a record is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from kedro_eeipu.cache.files import layout
from kedro_eeipu.cache.files.base import Files
from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store.errors import in_words
from kedro_eeipu.cache.store.record import InvalidRecord, Record, decode, encode

__all__ = ["DOUBTS", "VARYING", "VERIFIED", "WORLDS", "Notes"]

logger = logging.getLogger(__name__)

VERIFIED = layout.VERIFIED
DOUBTS = layout.DOUBTS
VARYING = "varying"
WORLDS = "worlds"
_SHARE = 0.02  # of the time may go into listing


class Notes:
    """The notes of a store. Trouble with the storage is never raised: nothing is noted then.

    Args:
        files: The files of the store.
        secret: Signs them, as it signs records.
        is_trusted: Whether what lies there may be relied upon.
    """

    def __init__(self, files: Files, secret: bytes | None, is_trusted: Callable[[], bool]) -> None:
        self._files = files
        self._secret = secret
        self._is_trusted = is_trusted
        self._listed: dict[str, tuple[float, frozenset[str]]] = {}

    def put(self, kind: str, key: str, content: Mapping[str, Any]) -> None:
        """Note something of a key; it replaces an earlier note of the kind."""
        if not self._is_trusted():
            return
        note = Record(_inner(kind, key), (), dict(content))
        try:
            self._files.replace(layout.note_path(kind, key), encode(note, (), self._secret))
        except Exception as error:
            logger.warning("A note could not be written to the cache: %s", in_words(error))
        self._listed.pop(kind, None)

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """What is noted of a key, ``None`` for nothing."""
        if not self._is_trusted():
            return None
        try:
            data = self._files.read(layout.note_path(kind, key))
            return decode(data, _inner(kind, key), self._secret)[0].meta
        except (FileNotFoundError, NotADirectoryError, InvalidRecord):
            return None
        except Exception as error:
            logger.warning("A note in the cache could not be read: %s", in_words(error))
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
            entries = self._files.list(f"{layout.NOTES}/{kind}")
            keys = frozenset(layout.noted_key(entry) for entry in entries)
        except Exception as error:
            logger.warning("The notes in the cache could not be listed: %s", in_words(error))
        ended = time.monotonic()
        self._listed[kind] = (ended + (ended - started) / _SHARE, keys)
        return keys


def _inner(kind: str, key: str) -> str:
    """The key inside the file: a note is no record, and none of another kind."""
    return combine(note=kind, of=key)
