"""The content-addressed store.

Two levels: a record ``ac/<2 hex>/<key>.json`` names the digests of what a computation returned,
and each value is a blob ``cas/<2 hex>/<digest>``. Blobs are written before the record, both whole
or not at all, so a crash leaves nothing that could be mistaken for a result.

No method lets an error of the storage escape: reading answers None or raises :class:`CacheMiss`,
writing raises :class:`Unstorable`, and the reason is logged once.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import IO, Any

from kedro_eeipu.cache.files import layout
from kedro_eeipu.cache.files.base import Files
from kedro_eeipu.cache.files.layout import Entry, is_digest
from kedro_eeipu.cache.files.opening import is_remote, open_files
from kedro_eeipu.cache.store import lease, payload, upkeep
from kedro_eeipu.cache.store.errors import CacheMiss, Unstorable, in_words
from kedro_eeipu.cache.store.eviction import UsageLog
from kedro_eeipu.cache.store.folders import Folders
from kedro_eeipu.cache.store.notes import Notes
from kedro_eeipu.cache.store.record import Blob, InvalidRecord, Record, decode, encode
from kedro_eeipu.cache.store.serialising import Nowhere, serialise
from kedro_eeipu.cache.store.trust import distrust
from kedro_eeipu.cache.store.upkeep import GcResult, Problem
from kedro_eeipu.cache.store.warnings import Warnings

__all__ = ["Blob", "CacheMiss", "GcResult", "Problem", "Record", "Store", "Unstorable"]


class Store:
    """Records and blobs below one root, shared by any number of processes and threads.

    Args:
        root: local path or fsspec URL.
        storage_options: for the filesystem of the URL.
        secret: signs records. Without it, a root that others may write to (remote, or local with
            write permission for a group or for all) is not used: unpickling runs code.
        max_entry_bytes: a larger value is not stored.
        lease_seconds: a holder that gives no sign of life for so long is taken over.
        copies: local folder for copies of the blobs of a remote root.
    """

    def __init__(
        self,
        root: str,
        *,
        storage_options: dict[str, Any] | None = None,
        secret: bytes | None = None,
        max_entry_bytes: int | None = None,
        lease_seconds: float = 30.0,
        copies: str | None = None,
    ) -> None:
        self.root = str(root)
        self._storage_options = storage_options
        self._secret = secret
        self._max_entry_bytes = max_entry_bytes
        self._lease_seconds = lease_seconds
        self._copies = copies
        self._prepare()

    def _prepare(self) -> None:
        self._warnings = Warnings(self.root)
        self._dumped: set[str] = set()  # digests of blobs that nobody has read here yet

    def __repr__(self) -> str:
        return f"Store({self.root!r})"

    def __getstate__(self) -> dict[str, Any]:
        # Made again where it arrives.
        left_out = ("_warnings", "_dumped", "_files", "_usage", "notes", "folders")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    @functools.cached_property
    def _files(self) -> Files:
        return open_files(self.root, self._storage_options, self._copies)

    @property
    def is_remote(self) -> bool:
        """Whether the root is on another machine."""
        return is_remote(self.root)

    @property
    def is_signed(self) -> bool:
        """Whether records are signed."""
        return bool(self._secret)

    def open(self) -> None:
        """Open the filesystem of the root, whose library may be missing; nothing is read."""
        _ = self._files

    def probe(self) -> None:
        """Write a small file below the root, and delete it.

        Raises:
            Exception: Whatever keeps the root from being used.
        """
        self._files.now()

    @functools.cached_property
    def _usage(self) -> UsageLog:
        return UsageLog(self._files)

    @functools.cached_property
    def folders(self) -> Folders:
        """Values that their own dataset has written, as files."""
        is_trusted = lambda: self._distrust() is None  # noqa: E731
        return Folders(self._files, self._secret, is_trusted, self._usage.count)

    @functools.cached_property
    def notes(self) -> Notes:
        """What is noted of records, and of nodes."""
        is_trusted = lambda: self._distrust() is None  # noqa: E731
        return Notes(lambda: self._files, self._secret, is_trusted, self._warnings.unreadable)

    # --- blobs ------------------------------------------------------------------------------------

    def dump(self, value: Any) -> Blob:
        """Store ``value``, unless an identical blob is there already.

        Raises:
            Unstorable: it cannot be pickled, is too large, or the storage refuses it.
        """
        self._require_trust(Unstorable)
        started = time.perf_counter()
        digest, size = "", 0

        def produce(file: IO[bytes]) -> str:
            nonlocal digest, size
            digest, size = serialise(value, file, self._max_entry_bytes)
            return layout.blob_path(digest)

        try:
            self._files.publish(produce)
        except Unstorable:
            raise
        except Exception as error:
            raise self._warnings.unwritable(error) from error
        self._dumped.add(digest)
        return Blob(digest, size, time.perf_counter() - started)

    def digest(self, value: Any, *, recipes: bool = False) -> Blob:
        """Return the blob that :meth:`dump` would return, without storing anything.

        Args:
            value: The value.
            recipes: Whether a lazy value has the digest of its recipe.

        Raises:
            Unstorable: ``value`` cannot be pickled.
        """
        started = time.perf_counter()
        digest, size = serialise(value, Nowhere(), None, recipes=recipes)
        return Blob(digest, size, time.perf_counter() - started)

    def load(self, blob: Blob) -> Any:
        """Return the value of a blob, whose digest is checked before it is unpickled.

        Raises:
            CacheMiss: missing, damaged (it is then put into quarantine), not to be unpickled
                here, or of a class that was edited since.
        """
        self._require_trust(CacheMiss)
        if blob.is_recipe:
            raise CacheMiss("it is not stored, because it is lazy or cannot be pickled")
        path = layout.blob_path(blob.digest)
        try:
            with self._files.fetch(path) as file:
                value = payload.read(file, blob.size, blob.digest)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CacheMiss("its blob is no longer in the cache") from error
        except payload.Damaged as error:
            if self._files.drop_copy(path):
                return self.load(blob)
            self._quarantine(path, str(error))
            raise CacheMiss(f"its blob is damaged: {error}") from error
        except payload.Outdated as error:
            raise CacheMiss(str(error)) from error
        except Exception as error:
            reason = f"a blob in the cache at {self.root} cannot be loaded: {in_words(error)}"
            self._warnings.once(f"load {type(error).__name__}", reason)
            raise CacheMiss(reason) from error
        if blob.digest in self._dumped:  # by the node after, in the run that made it
            self._dumped.discard(blob.digest)
        else:
            self._usage.count(blob.digest)
        return value

    def has(self, blob: Blob) -> bool:
        """Whether the blob is there, with the right size. Its content is checked by loading.

        A recipe always is.
        """
        if self._distrust() is not None:
            return False
        if blob.is_recipe:
            return True
        try:
            return self._files.size(layout.blob_path(blob.digest)) == blob.size
        except Exception as error:
            self._warnings.unreadable(error)
            return False

    def digests(self) -> frozenset[str]:
        """Digests of all blobs, by one listing: asking for each is slow where the root is remote.

        A listing may be out of date; `has` says whether a blob is there now.
        """
        if self._distrust() is not None:
            return frozenset()
        listed = (layout.digest_of(entry) for entry in self._list(layout.BLOBS))
        return frozenset(digest for digest in listed if digest is not None)

    # --- records ----------------------------------------------------------------------------------

    def get(self, key: str) -> Record | None:
        """Return the record of a key; None if there is none or it cannot be relied upon."""
        if self._distrust() is not None:
            return None
        path = layout.record_path(key)
        try:
            return self._decoded(path, self._files.read(path), key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:
            self._warnings.unreadable(error)
        return None

    def _decoded(self, path: str, data: bytes, key: str) -> Record | None:
        """A record from its file; one that cannot be relied upon is moved out of the way."""
        try:
            return decode(data, key, self._secret)[0]
        except InvalidRecord as error:
            self._quarantine(path, str(error))
        return None

    def put(self, key: str, outputs: Sequence[Blob], meta: dict[str, Any]) -> Record:
        """Commit the record of a key and return it; if there is a whole one, that one is returned.

        A record whose blobs are gone is replaced, and so is one without outputs, which only says by
        what the record is found. Otherwise, if a computation gives different
        results each time, its new blobs would never be found.

        Raises:
            Unstorable: ``meta`` is not JSON, or the storage refuses it.
        """
        self._require_trust(Unstorable)
        record = Record(key, tuple(outputs), meta)
        path = layout.record_path(key)
        try:
            stored = tuple(
                not b.is_recipe and (b.digest in self._dumped or self.has(b)) for b in outputs
            )
            data = encode(record, stored, self._secret)
        except (TypeError, ValueError) as error:
            raise Unstorable(f"the description of the result is not JSON: {error}") from error
        try:
            if self._files.create(path, data):
                return record
            earlier = self.get(key)  # if it is invalid, this moves it out of the way
            gone = earlier is not None and not (
                earlier.outputs and all(map(self.has, earlier.outputs))
            )
            if earlier is not None and not (gone and all(map(self.has, outputs))):
                return earlier
            self._files.replace(path, data)
        except Exception as error:
            raise self._warnings.unwritable(error) from error
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
        keys = {entry.path: layout.key_of(entry) for entry in self._list(layout.RECORDS)}
        try:
            contents = self._files.read_all([path for path, key in keys.items() if key])
        except Exception as error:
            self._warnings.unreadable(error)
            return
        for path, data in contents.items():
            record = self._decoded(path, data, str(keys[path]))
            if record is not None:
                yield record

    # --- upkeep -----------------------------------------------------------------------------------

    def stats(self) -> dict[str, Any]:
        """Numbers of records, blobs, leases and quarantined files, and bytes."""
        try:
            return {"root": self.root, **upkeep.statistics(self._files)}
        except Exception as error:
            self._warnings.unreadable(error)
            return {"root": self.root}

    def verify(self) -> list[Problem]:
        """Read everything and return what is wrong; nothing is changed and nothing unpickled."""
        distrust = self._distrust()
        if distrust is not None:
            return [Problem("", distrust)]
        problems: list[Problem] = []
        try:
            problems.extend(upkeep.problems(self._files, self._secret))
            problems.extend(Problem(path, detail) for path, detail in self.folders.problems())
        except Exception as error:
            problems.append(Problem("", in_words(error)))
        return problems

    def release_ended(self) -> None:
        """Delete the leases of processes of this machine that ended without giving them up."""
        with contextlib.suppress(Exception):  # a lease is a courtesy
            upkeep.sweep_ended(self._files)

    def gc(self, max_size: int | None, grace_seconds: float = 3600) -> GcResult:
        """Delete what nobody needs, then drop blobs until all together take ``max_size`` bytes.

        Temporary files, blobs without a record and quarantined files go when they are older than
        ``grace_seconds``. Blobs of a key under lease stay; records stay, they are small and know
        the digests. An error is logged, is in the result and ends the collection. While others
        use the cache, the grace period must be longer than they take from writing a blob to
        committing its record.
        """
        try:
            trouble = self._distrust()
            if trouble is None:
                return upkeep.collect(
                    self._files, self._usage, self.folders, self.records(), max_size, grace_seconds
                )
        except Exception as error:
            trouble = in_words(error)
            self._warnings.once("gc", f"the cache at {self.root} cannot be cleaned: {trouble}")
        size = sum(entry.size for entry in self._list(layout.BLOBS))
        return GcResult((), 0, 0, 0, size, trouble)

    def clear(self) -> str:
        """Delete everything but the leases of running computations, and doubts: they stay true.

        Returns:
            What has kept something from being deleted; empty if nothing has.
        """
        self.__dict__.pop("notes", None)  # which have listed some
        try:
            return upkeep.clear(self._files, self.folders)
        except Exception as error:
            return in_words(error)

    # --- trust and trouble ------------------------------------------------------------------------

    def _distrust(self) -> str | None:
        """Why nothing here may be unpickled, None if all is well."""
        if self._secret:
            return None
        return distrust(lambda: self._files, self.root, self._warnings)

    def _require_trust(self, refusal: type[Unstorable] | type[CacheMiss]) -> None:
        reason = self._distrust()
        if reason is not None:
            raise refusal(f"the cache is not used, because {reason}")

    def _quarantine(self, path: str, reason: str) -> None:
        self._warnings.once(
            f"damaged {reason}", f"{path} in the cache at {self.root} is refused: {reason}"
        )
        name = path.rpartition("/")[2]
        try:
            self._files.move(path, f"{layout.QUARANTINE}/{name}.{time.time_ns()}")
        except Exception:
            with contextlib.suppress(Exception):
                self._files.delete(path)

    def _list(self, folder: str) -> list[Entry]:
        try:
            return list(self._files.list(folder))
        except Exception as error:
            self._warnings.unreadable(error)
            return []
