"""Examining and cleaning a whole cache."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kedro_eeipu.cache.files import layout
from kedro_eeipu.cache.files.base import Files
from kedro_eeipu.cache.files.layout import Entry
from kedro_eeipu.cache.store import payload
from kedro_eeipu.cache.store.errors import in_words
from kedro_eeipu.cache.store.eviction import Candidate, UsageLog, victims
from kedro_eeipu.cache.store.folders import Folders
from kedro_eeipu.cache.store.lease import holder_ended
from kedro_eeipu.cache.store.record import InvalidRecord, Record, decode

__all__ = ["GcResult", "Problem", "collect", "problems", "statistics", "sweep_ended"]


_ABANDONED_SECONDS = 3600.0  # far beyond any heartbeat


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a file; ``path`` is relative to the root."""

    path: str
    detail: str


@dataclass(frozen=True)
class GcResult:
    """What a collection did.

    Attributes:
        evicted: digests of blobs dropped to make room.
        orphans: number of blobs dropped that no record names.
        swept: number of temporary, quarantined and abandoned lease files deleted.
        freed: bytes of blobs.
        size: bytes of blobs that remain.
        error: what has ended it early; empty if nothing has.
    """

    evicted: tuple[str, ...]
    orphans: int
    swept: int
    freed: int
    size: int
    error: str = ""


def statistics(files: Files) -> dict[str, Any]:
    """Numbers of records and blobs, bytes of blobs, and bytes of everything below the root."""
    entries = {folder: list(files.list(folder)) for folder in layout.FOLDERS}
    noted = {e.path for e in entries[layout.NOTES]}
    folders = entries[layout.FOLDERS_OF_FILES]
    keys = filter(None, map(layout.key_of, entries[layout.RECORDS]))
    return {
        "records": len(entries[layout.RECORDS]),
        "verified": sum(layout.note_path(layout.VERIFIED, key) in noted for key in keys),
        "blobs": len(entries[layout.BLOBS]),
        "blob_bytes": sum(entry.size for entry in entries[layout.BLOBS]),
        "folders": sum(entry.path.endswith("/account.json") for entry in folders),
        "folder_bytes": sum(entry.size for entry in folders),
        "total_bytes": sum(entry.size for entries in entries.values() for entry in entries),
        "quarantined": len(entries[layout.QUARANTINE]),
        "leases": len(entries[layout.LEASES]),
    }


def problems(files: Files, secret: bytes | None) -> Iterator[Problem]:
    """Read every record and every blob; nothing is changed and nothing is unpickled."""
    for entry in files.list(layout.RECORDS):
        yield from _problems_of_record(files, entry, secret)
    for entry in files.list(layout.BLOBS):
        detail = _problem_of_blob(files, entry)
        if detail is not None:
            yield Problem(entry.path, detail)


def _problems_of_record(files: Files, entry: Entry, secret: bytes | None) -> Iterator[Problem]:
    key = layout.key_of(entry)
    if key is None:
        yield Problem(entry.path, "its name is not that of a record")
        return
    try:
        record, stored = decode(files.read(entry.path), key, secret)
    except FileNotFoundError:
        return
    except InvalidRecord as error:
        yield Problem(entry.path, str(error))
        return
    except Exception as error:
        yield Problem(entry.path, in_words(error))
        return
    usage = UsageLog(files)
    for blob, kept in zip(record.outputs, stored, strict=True):
        size = files.size(layout.blob_path(blob.digest))
        if size is None and kept and not usage.was_evicted(blob.digest):
            yield Problem(entry.path, f"its blob {blob.digest} is missing")
        elif size not in (None, blob.size):
            yield Problem(entry.path, f"its blob {blob.digest} has another size")


def _problem_of_blob(files: Files, entry: Entry) -> str | None:
    digest = layout.digest_of(entry)
    if digest is None:
        return "its name is not that of a blob"
    try:
        with files.open(entry.path) as file:
            if payload.digest_of(file) != digest:
                return "its content does not match its digest"
    except FileNotFoundError:
        return None
    except Exception as error:
        return in_words(error)
    return None


def collect(
    files: Files,
    usage: UsageLog,
    folders: Folders,
    records: Iterable[Record],
    max_size: int | None,
    grace_seconds: float,
) -> GcResult:
    """Delete what nobody needs, then drop blobs until all together take ``max_size`` bytes.

    Ages are measured by the clock that stamps the files. Blobs that a record under lease names are
    kept, and so are the records of dropped blobs: they are small and know the digests. The grace
    period must be longer than a living process takes from writing a blob to committing its record.
    """
    oldest = files.now() - grace_seconds
    swept = _sweep(files, (layout.TEMPORARY, layout.QUARANTINE), oldest)
    swept += _sweep(files, (layout.LEASES,), min(oldest, files.now() - _ABANDONED_SECONDS))
    swept += sweep_ended(files)
    swept += folders.sweep(oldest)
    blobs = {layout.digest_of(entry) or "": entry for entry in files.list(layout.BLOBS)}
    blobs.pop("", None)
    leased = {layout.name_of(entry) for entry in files.list(layout.LEASES)}
    seconds, busy, keys = _rebuild_costs(records, leased)
    kept = {folder.digest: folder for folder in folders.all() if not folder.is_pinned}
    orphans = [d for d, entry in blobs.items() if d not in seconds and entry.changed < oldest]
    freed = sum(blobs.pop(digest).size for digest in orphans)
    for digest in orphans:
        files.delete(layout.blob_path(digest))
        usage.forget(digest)
    for folder in [f for f in kept.values() if f.key not in keys and f.changed < oldest]:
        folders.delete(folder.digest)
        usage.forget(folder.digest)
        orphans.append(folder.digest)
        freed += kept.pop(folder.digest).size
    size = sum(entry.size for entry in blobs.values()) + sum(f.size for f in folders.all())
    chosen = []
    if max_size is not None and size > max_size:
        idle = [digest for digest in blobs if digest in seconds and digest not in busy]
        uses = usage.of_all([*idle, *kept])
        candidates = [Candidate(d, blobs[d].size, seconds[d], uses[d]) for d in idle]
        candidates += [Candidate(d, f.size, f.seconds, uses[d]) for d, f in kept.items()]
        chosen = victims(candidates, size - max_size)
    for victim in chosen:
        usage.evict(victim)
        if victim.digest in kept:
            folders.delete(victim.digest)
        else:
            files.delete(layout.blob_path(victim.digest))
    evicted_bytes = sum(victim.size for victim in chosen)
    return GcResult(
        evicted=tuple(victim.digest for victim in chosen),
        orphans=len(orphans),
        swept=swept,
        freed=freed + evicted_bytes,
        size=size - evicted_bytes,
    )


def _rebuild_costs(
    records: Iterable[Record], leased: set[str]
) -> tuple[dict[str, float], set[str], set[str]]:
    """Seconds to compute each blob again, the blobs whose key is under lease, and all keys."""
    seconds: dict[str, float] = {}
    busy, keys = set(), set()
    for record in records:
        keys.add(record.key)
        cost = record.meta.get("seconds")
        for blob in record.outputs:
            rebuild = float(cost) if isinstance(cost, int | float) else blob.seconds
            seconds[blob.digest] = max(rebuild, seconds.get(blob.digest, 0.0))
            if record.key in leased:
                busy.add(blob.digest)
    return seconds, busy, keys


def clear(files: Files, folders: Folders) -> str:
    """Delete everything but what running computations hold, and doubts: they stay true.

    Returns:
        The first error, in words; empty if all could be deleted.
    """
    trouble = ""
    doubts = f"{layout.NOTES}/{layout.DOUBTS}/"
    for folder in folders.all():
        if not folder.is_pinned:
            folders.delete(folder.digest)
    for top in layout.FOLDERS:
        if top not in (layout.LEASES, layout.PINS, layout.FOLDERS_OF_FILES):
            for entry in list(files.list(top)):
                if not entry.path.startswith(doubts):
                    try:
                        files.delete(entry.path)
                    except Exception as error:
                        trouble = trouble or in_words(error)
    with contextlib.suppress(Exception):  # what evictions have left
        files.delete(layout.INFLATION)
    return trouble


def sweep_ended(files: Files) -> int:
    """Delete the leases of processes of this machine that have ended."""
    swept = 0
    for entry in list(files.list(layout.LEASES)):
        try:
            content = files.read(entry.path)
        except OSError:  # given up at this moment
            continue
        if layout.is_ephemeral(entry) and holder_ended(content):
            files.delete(entry.path)
            swept += 1
    return swept


def _sweep(files: Files, folders: Iterable[str], oldest: float) -> int:
    swept = 0
    for folder in folders:
        for entry in files.list(folder):
            if entry.changed < oldest and layout.is_ephemeral(entry):
                files.delete(entry.path)
                swept += 1
    return swept
