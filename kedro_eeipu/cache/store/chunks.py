"""Hashing and file access in chunks, several at a time.

The digest of a file is the sha256 of the sha256 digests of its chunks of one MiB. So chunks are
hashed side by side, each by the thread that has just read or is about to write it: both release
the interpreter lock, and the chunk is still in the processor's cache.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

__all__ = ["ChunkWriter", "descriptor_of", "digest_of", "read_hashed", "read_unhashed"]

CHUNK = 1 << 20
_WORKERS = 4
_AHEAD = 16  # chunks that may wait to be written


def _combined(digests: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(digests)).hexdigest()


class _Crew:
    """Runs jobs in threads once there is more than one, and hands out results in order."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[bytes]] = deque()
        self._results: list[bytes] = []

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, job: Callable[..., bytes], *arguments: Any) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_WORKERS)
        self._pending.append(self._pool.submit(job, *arguments))
        if len(self._pending) > _AHEAD:
            self._results.append(self._pending.popleft().result())

    def run(self, job: Callable[..., bytes], *arguments: Any) -> None:
        """Do a job at once, after all others."""
        self.results()
        self._results.append(job(*arguments))

    def results(self) -> list[bytes]:
        while self._pending:
            self._results.append(self._pending.popleft().result())
        return self._results


class ChunkWriter:
    """A file-like object that hashes what it writes to ``file``; a context, to be finished.

    Args:
        file: unbuffered, at its start; a real file is written at several places at once.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._write_at = _writer_at(file)
        self._partial = bytearray()
        self._crew = _Crew()
        self.size = 0

    def __enter__(self) -> ChunkWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._crew.__exit__()

    def write(self, data: Any) -> int:
        """Write bytes, which must not change before the writer is finished."""
        view = memoryview(data).cast("B")
        start = 0
        if self._partial:
            start = min(CHUNK - len(self._partial), view.nbytes)
            self._append(view[:start])
        while view.nbytes - start >= CHUNK:
            self._crew.submit(self._job, view[start : start + CHUNK], self.size)
            self.size += CHUNK
            start += CHUNK
        if start < view.nbytes:
            self._append(view[start:])
        return view.nbytes

    def _append(self, view: memoryview) -> None:
        self._partial += view
        self.size += view.nbytes
        if len(self._partial) == CHUNK:
            full, self._partial = self._partial, bytearray()
            self._crew.submit(self._job, full, self.size - CHUNK)

    def _job(self, chunk: Any, offset: int) -> bytes:
        digest = hashlib.sha256(chunk).digest()
        self._write_at(chunk, offset)
        return digest

    def finish(self) -> str:
        """Write the rest and return the digest."""
        if self._partial or not self.size:
            self._crew.run(self._job, self._partial, self.size - len(self._partial))
        return _combined(self._crew.results())


def _writer_at(file: IO[bytes]) -> Callable[[Any, int], None]:
    descriptor = descriptor_of(file)
    if descriptor is not None and hasattr(os, "pwrite"):
        return lambda data, offset: _pwrite(descriptor, memoryview(data), offset)
    lock = threading.Lock()

    def write(data: Any, offset: int) -> None:
        with lock:
            file.seek(offset)
            view = memoryview(data)
            while view.nbytes:
                view = view[file.write(view) :]

    return write


def _pwrite(descriptor: int, view: memoryview, offset: int) -> None:
    while view.nbytes:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count


def read_hashed(file: IO[bytes], targets: Sequence[Any]) -> str | None:
    """Fill writable buffers from the start of ``file``; return the digest, None if it is short."""
    digests = _fill(file, targets, hashlib.sha256)
    return _combined(digests) if all(digests) else None


def read_unhashed(file: IO[bytes], targets: Sequence[Any]) -> bool:
    """Fill writable buffers from the start of ``file``; return whether it was long enough."""
    return all(_fill(file, targets, _Unhashed))


class _Unhashed:
    def update(self, view: memoryview) -> None: ...

    def digest(self) -> bytes:
        return b"whole"


def _fill(file: IO[bytes], targets: Sequence[Any], algorithm: Callable[[], Any]) -> list[bytes]:
    """Read the chunks; return the digest of each, empty where the file ended."""
    read_at = _reader_at(file)

    def job(views: list[memoryview], offset: int) -> bytes:
        state = algorithm()
        for view in views:
            if not read_at(view, offset):
                return b""
            state.update(view)
            offset += view.nbytes
        digest: bytes = state.digest()
        return digest

    chunks = _scattered(targets)
    with _Crew() as crew:
        for number, views in enumerate(chunks):
            if len(chunks) == 1:
                crew.run(job, views, 0)
            else:
                crew.submit(job, views, number * CHUNK)
        return crew.results()


def _scattered(targets: Sequence[Any]) -> list[list[memoryview]]:
    """The pieces of the targets that make up each chunk of the file."""
    chunks: list[list[memoryview]] = [[]]
    room = CHUNK
    for target in targets:
        view = memoryview(target)
        while view.nbytes:
            if not room:
                chunks.append([])
                room = CHUNK
            piece = view[:room]
            chunks[-1].append(piece)
            room -= piece.nbytes
            view = view[piece.nbytes :]
    return chunks


def _reader_at(file: IO[bytes]) -> Callable[[memoryview, int], bool]:
    """A function that fills a view from an offset and says whether it could."""
    descriptor = descriptor_of(file)
    if descriptor is not None and hasattr(os, "preadv"):
        return lambda view, offset: _pread(descriptor, view, offset)
    lock = threading.Lock()

    def read(view: memoryview, offset: int) -> bool:
        with lock:
            file.seek(offset)
            while view.nbytes:
                count = file.readinto(view)  # type: ignore[attr-defined]
                if not count:
                    return False
                view = view[count:]
        return True

    return read


def _pread(descriptor: int, view: memoryview, offset: int) -> bool:
    while view.nbytes:
        count = os.preadv(descriptor, [view], offset)
        if not count:
            return False
        view, offset = view[count:], offset + count
    return True


def descriptor_of(file: IO[bytes]) -> int | None:
    """The descriptor of a real file."""
    try:
        return file.fileno()
    except OSError:
        return None


def digest_of(file: IO[bytes]) -> str:
    """Return the digest of a whole file."""
    descriptor = descriptor_of(file)
    if descriptor is None or not hasattr(os, "preadv"):
        return _digest_in_order(file)
    size = os.fstat(descriptor).st_size
    kept = threading.local()  # new memory for each chunk costs as much as reading it

    def job(offset: int) -> bytes:
        if not hasattr(kept, "chunk"):
            kept.chunk = bytearray(min(CHUNK, size))
        view = memoryview(kept.chunk)[: min(CHUNK, size - offset)]
        return hashlib.sha256(view).digest() if _pread(descriptor, view, offset) else b""

    with _Crew() as crew:
        for offset in range(0, size or 1, CHUNK):
            if size > CHUNK:
                crew.submit(job, offset)
            else:
                crew.run(job, offset)
        return _combined(crew.results())


def _digest_in_order(file: IO[bytes]) -> str:
    digests: list[bytes] = []
    while True:
        chunk = bytearray()
        while len(chunk) < CHUNK and (data := file.read(CHUNK - len(chunk))):
            chunk += data
        if chunk or not digests:
            digests.append(hashlib.sha256(chunk).digest())
        if len(chunk) < CHUNK:
            return _combined(digests)
