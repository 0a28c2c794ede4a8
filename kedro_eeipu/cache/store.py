"""The content-addressed store.

Two levels: a record ``ac/<2 hex>/<key>.json`` names the digests of what a computation returned,
and each value is a blob ``cas/<2 hex>/<digest>``. Blobs are written before the record, both whole
or not at all, so a crash leaves nothing that could be mistaken for a result. Names of files are
made of digests only.

No method lets an error of the storage escape: reading answers None or raises :class:`CacheMiss`,
writing raises :class:`Unstorable`, and the reason is logged once.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any

from kedro_eeipu.cache import lease, payload
from kedro_eeipu.cache.eviction import Candidate, Usage, victims
from kedro_eeipu.cache.files import Entry, Files, open_files
from kedro_eeipu.cache.record import Blob, InvalidRecord, Record, decode, encode, is_digest

__all__ = ["Blob", "CacheMiss", "GcResult", "Problem", "Record", "Store", "Unstorable"]

logger = logging.getLogger(__name__)

_INFLATION = "inflation.json"


class Unstorable(Exception):
    """A value or record that cannot be stored; ``reason`` says why, for a human."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CacheMiss(Exception):
    """A blob that cannot be had after all; ``reason`` says why, for a human."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Problem:
    """Something that :meth:`Store.verify` found; ``path`` is relative to the root."""

    path: str
    detail: str


@dataclass(frozen=True)
class GcResult:
    """What :meth:`Store.gc` did.

    Attributes:
        evicted: digests of blobs dropped to make room.
        orphans: number of blobs dropped that no record names.
        swept: number of temporary, quarantined and abandoned files deleted.
        freed: bytes.
        size: bytes that remain in blobs.
    """

    evicted: tuple[str, ...]
    orphans: int
    swept: int
    freed: int
    size: int


class Store:
    """Records and blobs below one root, shared by any number of processes and threads.

    Args:
        root: local path or fsspec URL.
        storage_options: for the filesystem of the URL.
        secret: signs records. Without it, a root that others may write to (remote, or local with
            write permission for a group or for all) is not used: unpickling runs code.
        max_entry_bytes: a larger value is not stored.
        lease_seconds: a holder that gives no sign of life for so long is taken over.
    """

    def __init__(
        self,
        root: str,
        *,
        storage_options: dict[str, Any] | None = None,
        secret: bytes | None = None,
        max_entry_bytes: int | None = None,
        lease_seconds: float = 30.0,
    ) -> None:
        self.root = str(root)
        self._storage_options = storage_options
        self._secret = secret
        self._max_entry_bytes = max_entry_bytes
        self._lease_seconds = lease_seconds
        self._prepare()

    def _prepare(self) -> None:
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._inflation: float | None = None

    def __repr__(self) -> str:
        return f"Store({self.root!r})"

    def __getstate__(self) -> dict[str, Any]:
        names = ("root", "_storage_options", "_secret", "_max_entry_bytes", "_lease_seconds")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    @functools.cached_property
    def _files(self) -> Files:
        return open_files(self.root, self._storage_options)

    # --- blobs ------------------------------------------------------------------------------------

    def dump(self, value: Any) -> Blob:
        """Store ``value``, unless an identical blob is there already.

        Raises:
            Unstorable: it cannot be pickled, is too large, or the storage refuses it.
        """
        self._check_usable()
        started = time.perf_counter()
        size = 0
        digest = ""

        def produce(file: IO[bytes]) -> str:
            nonlocal digest, size
            digest, size = _serialise(value, file, self._max_entry_bytes)
            return _blob_path(digest)

        try:
            self._files.publish(produce)
        except Unstorable:
            raise
        except Exception as error:
            reason = f"the cache at {self.root} cannot be written: {_in_words(error)}"
            self._warn("write", reason)
            raise Unstorable(reason) from error
        return Blob(digest, size, time.perf_counter() - started)

    def digest(self, value: Any) -> Blob:
        """Return the blob that :meth:`dump` would return, without storing anything.

        Raises:
            Unstorable: ``value`` cannot be pickled.
        """
        started = time.perf_counter()
        digest, size = _serialise(value, _Nowhere(), None)
        return Blob(digest, size, time.perf_counter() - started)

    def load(self, blob: Blob) -> Any:
        """Return the value of a blob, whose digest is checked before it is unpickled.

        Raises:
            CacheMiss: missing, damaged (it is then put into quarantine), or not to be unpickled
                here.
        """
        self._check_readable()
        path = _blob_path(blob.digest)
        try:
            with self._files.open(path) as file:
                value = payload.read(file, blob.size, blob.digest)
        except FileNotFoundError as error:
            raise CacheMiss("its blob is no longer in the cache") from error
        except payload.Damaged as error:
            self._quarantine(path, str(error))
            raise CacheMiss(f"its blob is damaged: {error}") from error
        except Exception as error:
            reason = f"a blob in the cache at {self.root} cannot be loaded: {_in_words(error)}"
            self._warn(f"load {type(error).__name__}", reason)
            raise CacheMiss(reason) from error
        self._note_use(blob.digest)
        return value

    def has(self, blob: Blob) -> bool:
        """Whether the blob is there, with the right size. Its content is checked by loading."""
        if self._distrust() is not None:
            return False
        try:
            return self._files.size(_blob_path(blob.digest)) == blob.size
        except Exception as error:
            self._warn("read", f"the cache at {self.root} cannot be read: {_in_words(error)}")
            return False

    # --- records ----------------------------------------------------------------------------------

    def get(self, key: str) -> Record | None:
        """Return the record of a key; None if there is none or it cannot be relied upon."""
        if self._distrust() is not None:
            return None
        found = self._read_record(key)
        return None if found is None else found[0]

    def _read_record(self, key: str) -> tuple[Record, tuple[bool, ...]] | None:
        path = _record_path(key)
        try:
            return decode(self._files.read(path), key, self._secret)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except InvalidRecord as error:
            self._quarantine(path, str(error))
        except Exception as error:
            self._warn("read", f"the cache at {self.root} cannot be read: {_in_words(error)}")
        return None

    def put(self, key: str, outputs: Sequence[Blob], meta: dict[str, Any]) -> Record:
        """Commit the record of a key and return it; if there is one already, that one is returned.

        Raises:
            Unstorable: ``meta`` is not JSON, or the storage refuses it.
        """
        self._check_usable()
        record = Record(key, tuple(outputs), meta)
        try:
            data = encode(record, tuple(self.has(blob) for blob in outputs), self._secret)
        except (TypeError, ValueError) as error:
            raise Unstorable(f"the description of the result is not JSON: {error}") from error
        try:
            for _ in range(2):
                if self._files.create(_record_path(key), data):
                    return record
                earlier = self.get(key)  # an invalid one moves out of the way
                if earlier is not None:
                    return earlier
            self._files.replace(_record_path(key), data)
        except Exception as error:
            reason = f"the cache at {self.root} cannot be written: {_in_words(error)}"
            self._warn("write", reason)
            raise Unstorable(reason) from error
        return record

    def lease(self, key: str, wait: float | None = None) -> AbstractContextManager[bool]:
        """Return a context that is True for the one who should compute ``key`` now.

        It is False when, at once or after waiting for another process, the record and all its
        blobs are there. It is True when we hold the lease, after ``wait`` seconds, and whenever
        leases do not work.
        """
        if self._distrust() is not None or not is_digest(key):
            return contextlib.nullcontext(True)
        return lease.hold(
            self._files, key, lambda: self._is_complete(key), self._lease_seconds, wait
        )

    def _is_complete(self, key: str) -> bool:
        record = self.get(key)
        return record is not None and all(self.has(blob) for blob in record.outputs)

    def records(self) -> Iterator[Record]:
        """All records that can be relied upon."""
        if self._distrust() is not None:
            return
        for entry in self._list("ac"):
            key = _key_of(entry)
            found = self._read_record(key) if key else None
            if found is not None:
                yield found[0]

    # --- upkeep -----------------------------------------------------------------------------------

    def stats(self) -> dict[str, Any]:
        """Numbers of records and blobs, bytes of blobs, and bytes of everything below the root."""
        counts = {folder: self._list(folder) for folder in _FOLDERS}
        return {
            "root": self.root,
            "records": len(counts["ac"]),
            "blobs": len(counts["cas"]),
            "blob_bytes": sum(entry.size for entry in counts["cas"]),
            "total_bytes": sum(entry.size for entries in counts.values() for entry in entries),
            "quarantined": len(counts["quarantine"]),
            "leases": len(counts["leases"]),
        }

    def verify(self) -> list[Problem]:
        """Read everything and return what is wrong; nothing is changed and nothing unpickled."""
        distrust = self._distrust()
        if distrust is not None:
            return [Problem("", distrust)]
        problems: list[Problem] = []
        for entry in self._list("ac"):
            problems += self._verify_record(entry)
        for entry in self._list("cas"):
            problems += self._verify_blob(entry)
        return problems

    def _verify_record(self, entry: Entry) -> Iterator[Problem]:
        key = _key_of(entry)
        if key is None:
            yield Problem(entry.path, "not the name of a record")
            return
        try:
            record, stored = decode(self._files.read(entry.path), key, self._secret)
        except FileNotFoundError:
            return
        except InvalidRecord as error:
            yield Problem(entry.path, str(error))
            return
        except Exception as error:
            yield Problem(entry.path, _in_words(error))
            return
        for blob, kept in zip(record.outputs, stored, strict=True):
            if kept and not self.has(blob) and not self._was_evicted(blob.digest):
                yield Problem(entry.path, f"its blob {blob.digest} is missing")

    def _verify_blob(self, entry: Entry) -> Iterator[Problem]:
        digest = entry.path.rpartition("/")[2]
        if not is_digest(digest) or entry.path != _blob_path(digest):
            yield Problem(entry.path, "not the name of a blob")
            return
        try:
            with self._files.open(entry.path) as file:
                if payload.digest_of(file) != digest:
                    yield Problem(entry.path, "its content does not match its digest")
        except FileNotFoundError:
            return
        except Exception as error:
            yield Problem(entry.path, _in_words(error))

    def gc(self, max_size: int | None, grace_seconds: float = 3600) -> GcResult:
        """Delete what nobody needs, then drop blobs until all together take ``max_size`` bytes.

        Temporary files, blobs without a record and quarantined files go when they are older than
        ``grace_seconds``. Blobs of a key under lease stay; records stay, they are small and know
        the digests. Errors are logged and end the collection early.
        """
        try:
            return self._collect(max_size, grace_seconds)
        except Exception as error:
            self._warn("gc", f"the cache at {self.root} cannot be cleaned: {_in_words(error)}")
            return GcResult((), 0, 0, 0, sum(entry.size for entry in self._list("cas")))

    def _collect(self, max_size: int | None, grace_seconds: float) -> GcResult:
        oldest = self._files.now() - grace_seconds
        swept = self._sweep(oldest)
        seconds, leased = self._rebuild_costs()
        blobs = [entry for entry in self._list("cas") if is_digest(_name(entry))]
        orphans = [e for e in blobs if _name(e) not in seconds and e.changed < oldest]
        for entry in orphans:
            self._drop(_name(entry))
        kept = [entry for entry in blobs if entry not in orphans]
        size = sum(entry.size for entry in kept)
        chosen = []
        if max_size is not None and size > max_size:
            candidates = (
                Candidate(_name(e), e.size, seconds[_name(e)], self._usage(_name(e)))
                for e in kept
                if _name(e) in seconds and _name(e) not in leased
            )
            chosen = victims(candidates, size - max_size)
        for victim in chosen:
            self._evict(victim)
        freed = sum(victim.size for victim in chosen)
        return GcResult(
            evicted=tuple(victim.digest for victim in chosen),
            orphans=len(orphans),
            swept=swept,
            freed=freed + sum(entry.size for entry in orphans),
            size=size - freed,
        )

    def _rebuild_costs(self) -> tuple[dict[str, float], set[str]]:
        """Seconds to compute each blob again, and the blobs whose key is under lease."""
        leases = {_name(entry) for entry in self._list("leases")}
        seconds: dict[str, float] = {}
        leased = set()
        for record in self.records():
            cost = record.meta.get("seconds")
            for blob in record.outputs:
                known = float(cost) if isinstance(cost, int | float) else blob.seconds
                seconds[blob.digest] = max(known, seconds.get(blob.digest, 0.0))
                if record.key in leases:
                    leased.add(blob.digest)
        return seconds, leased

    def _sweep(self, oldest: float) -> int:
        swept = 0
        for folder in ("tmp", "quarantine", "leases"):
            for entry in self._list(folder):
                if entry.changed < oldest and _is_ours(entry):
                    self._files.delete(entry.path)
                    swept += 1
        return swept

    def _evict(self, victim: Candidate) -> None:
        if victim.priority > self._current_inflation():
            self._inflation = victim.priority
            self._files.replace(_INFLATION, json.dumps({"L": victim.priority}).encode())
        self._files.replace(_usage_path(victim.digest), b'{"evicted":true}')
        self._files.delete(_blob_path(victim.digest))

    def _drop(self, digest: str) -> None:
        self._files.delete(_blob_path(digest))
        self._files.delete(_usage_path(digest))

    def clear(self) -> None:
        """Delete everything but the leases of running computations."""
        for folder in _FOLDERS:
            if folder != "leases":
                for entry in self._list(folder):
                    with contextlib.suppress(Exception):
                        self._files.delete(entry.path)

    # --- usage ------------------------------------------------------------------------------------

    def _usage(self, digest: str) -> Usage:
        try:
            return Usage.decode(self._files.read(_usage_path(digest)))
        except FileNotFoundError:
            return Usage()

    def _was_evicted(self, digest: str) -> bool:
        try:
            return b"evicted" in self._files.read(_usage_path(digest))
        except Exception:
            return False

    def _note_use(self, digest: str) -> None:
        """Count a use; that a count is lost now and then does not matter."""
        with contextlib.suppress(Exception):
            usage = Usage(self._usage(digest).frequency + 1, self._current_inflation())
            self._files.replace(_usage_path(digest), usage.encode())

    def _current_inflation(self) -> float:
        if self._inflation is None:
            try:
                self._inflation = float(json.loads(self._files.read(_INFLATION))["L"])
            except Exception:
                self._inflation = 0.0
        return self._inflation

    # --- trust and trouble ------------------------------------------------------------------------

    def _distrust(self) -> str | None:
        """Why nothing here may be unpickled, None if all is well."""
        if self._secret:
            return None
        try:
            reason = self._files.distrust()
        except Exception as error:
            reason = f"it cannot be examined ({_in_words(error)})"
        if reason is not None:
            self._warn(
                "distrust",
                f"the cache at {self.root} is not used, because {reason} and loading from it "
                "could run other people's code; give it a secret to sign its records",
            )
        return reason

    def _check_usable(self) -> None:
        reason = self._distrust()
        if reason is not None:
            raise Unstorable(f"the cache is not used, because {reason}")

    def _check_readable(self) -> None:
        reason = self._distrust()
        if reason is not None:
            raise CacheMiss(f"the cache is not used, because {reason}")

    def _quarantine(self, path: str, reason: str) -> None:
        self._warn(f"damaged {reason}", f"{path} in the cache at {self.root} is refused: {reason}")
        name = path.rpartition("/")[2]
        try:
            self._files.move(path, f"quarantine/{name}.{time.time_ns()}")
        except Exception:
            with contextlib.suppress(Exception):
                self._files.delete(path)

    def _warn(self, kind: str, message: str) -> None:
        """Log a message, the first time that something of its kind happens."""
        with self._lock:
            if kind in self._warned:
                return
            self._warned.add(kind)
        logger.warning("%s", message)

    def _list(self, folder: str) -> list[Entry]:
        try:
            return list(self._files.list(folder))
        except Exception as error:
            self._warn("read", f"the cache at {self.root} cannot be read: {_in_words(error)}")
            return []


_FOLDERS = ("ac", "cas", "use", "tmp", "leases", "quarantine")


def _record_path(key: str) -> str:
    if not is_digest(key):
        raise ValueError(f"not a key: {key!r}")
    return f"ac/{key[:2]}/{key}.json"


def _blob_path(digest: str) -> str:
    if not is_digest(digest):
        raise ValueError(f"not a digest: {digest!r}")
    return f"cas/{digest[:2]}/{digest}"


def _usage_path(digest: str) -> str:
    return f"use/{digest[:2]}/{digest}.json"


def _name(entry: Entry) -> str:
    return entry.path.rpartition("/")[2]


def _key_of(entry: Entry) -> str | None:
    key = _name(entry).removesuffix(".json")
    return key if is_digest(key) and entry.path == _record_path(key) else None


def _is_ours(entry: Entry) -> bool:
    """Whether a file in a folder that is swept has a name that we give."""
    stem = _name(entry).partition(".")[0]
    return len(stem) in (32, 64) and set(stem) <= set("0123456789abcdef")


class _Nowhere(io.RawIOBase):
    """A file that forgets what is written to it."""

    def write(self, data: Any, /) -> int:
        return len(data)


def _serialise(value: Any, file: Any, limit: int | None) -> tuple[str, int]:
    try:
        return payload.write(value, file, limit)
    except OSError:
        raise
    except payload.TooLarge as error:
        raise Unstorable(str(error)) from error
    except Exception as error:
        raise Unstorable(f"it cannot be pickled: {_in_words(error)}") from error


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{errno.errorcode.get(error.errno, error.errno)} {error.strerror}"
    return f"{type(error).__name__}: {error}"
