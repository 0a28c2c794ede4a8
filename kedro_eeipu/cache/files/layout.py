"""Names of the files below a root. Only digests become names, whatever users call their things."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = [
    "FOLDERS",
    "INFLATION",
    "Entry",
    "blob_path",
    "is_digest",
    "key_of",
    "note_path",
    "noted_key",
    "record_path",
]

RECORDS, BLOBS, USAGE = "ac", "cas", "use"
TEMPORARY, LEASES, QUARANTINE = "tmp", "leases", "quarantine"
NOTES, VERIFIED, DOUBTS = "notes", "verified", "doubts"
FOLDERS_OF_FILES, PINS = "files", "pins"
FOLDERS = (RECORDS, BLOBS, USAGE, TEMPORARY, LEASES, QUARANTINE, NOTES, FOLDERS_OF_FILES, PINS)
INFLATION = "inflation.json"
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class Entry(NamedTuple):
    """A file: path relative to the root, bytes, and time of its last change on its own clock."""

    path: str
    size: int
    changed: float


def is_digest(text: object) -> bool:
    """Whether ``text`` is 64 lower-case hex digits: the only names that become paths."""
    return isinstance(text, str) and _DIGEST.match(text) is not None


def record_path(key: str) -> str:
    """Raises ValueError if ``key`` is not 64 hex digits; so do the others."""
    return f"{RECORDS}/{_fanned_out(key)}.json"


def blob_path(digest: str) -> str:
    return f"{BLOBS}/{_fanned_out(digest)}"


def folder_path(digest: str) -> str:
    return f"{FOLDERS_OF_FILES}/{_fanned_out(digest)}"


def usage_path(digest: str) -> str:
    return f"{USAGE}/{_fanned_out(digest)}.json"


def tombstone_path(digest: str) -> str:
    return f"{USAGE}/{_fanned_out(digest)}.evicted"


def note_path(kind: str, key: str) -> str:
    return f"{NOTES}/{kind}/{_fanned_out(key)}.json"


def noted_key(entry: Entry) -> str:
    """The key of which a note's file is."""
    return name_of(entry).removesuffix(".json")


def lease_path(key: str) -> str:
    if not is_digest(key):
        raise ValueError(f"not a digest: {key!r}")
    return f"{LEASES}/{key}"


def _fanned_out(digest: str) -> str:
    if not is_digest(digest):
        raise ValueError(f"not a digest: {digest!r}")
    return f"{digest[:2]}/{digest}"


def name_of(entry: Entry) -> str:
    """The last part of a path."""
    return entry.path.rpartition("/")[2]


def key_of(entry: Entry) -> str | None:
    """The key of a record's file; None if it is not the name of a record."""
    key = name_of(entry).removesuffix(".json")
    return key if is_digest(key) and entry.path == record_path(key) else None


def digest_of(entry: Entry) -> str | None:
    """The digest of a blob's file; None if it is not the name of a blob."""
    digest = name_of(entry)
    return digest if is_digest(digest) and entry.path == blob_path(digest) else None


def is_ephemeral(entry: Entry) -> bool:
    """Whether a temporary, lease or quarantined file has a name that we give to such files."""
    stem = name_of(entry).partition(".")[0]
    return len(stem) in (32, 64) and set(stem) <= set("0123456789abcdef")
