"""One computation at a time for each key.

A lease is a file that its holder rewrites every few seconds. Whoever waits for it judges by its
own clock whether the content has stood still too long; clocks of two machines are never compared.
Whether a holder on the same machine lives is asked of the machine. A lease is a courtesy: when
anything about it fails, both sides compute, which costs time only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator

from kedro_eeipu.cache.files import layout
from kedro_eeipu.cache.files.base import Files
from kedro_eeipu.processes import has_ended, machine

__all__ = ["hold", "holder_ended"]

logger = logging.getLogger(__name__)

_BEATS_PER_LEASE = 5
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


@contextlib.contextmanager
def hold(
    files: Files,
    key: str,
    is_done: Callable[[], bool],
    lease_seconds: float,
    wait: float | None,
) -> Iterator[bool]:
    """Try to be the one who computes ``key``; yields whether to compute.

    Yields False when ``is_done`` turned true, that is when another process has committed the
    result, and True otherwise: when the lease is ours, when ``wait`` seconds have passed, or when
    leases do not work here. It raises no errors itself.
    """
    try:
        lease = _acquire(files, key, is_done, lease_seconds, wait)
    except Exception as error:
        logger.debug("no lease on %s: %s", key, error)
        lease = _NO_LEASE
    if lease is None:
        yield False
        return
    lease.start()
    try:
        yield True
    finally:
        lease.stop()


class _NoLease:
    """Computing without a lease."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


_NO_LEASE = _NoLease()


class _Lease(_NoLease):
    """A lease in our hands, kept alive by a thread."""

    def __init__(self, files: Files, path: str, token: str, lease_seconds: float) -> None:
        self._files, self._path, self._token = files, path, token
        self._seconds = lease_seconds
        self._written = time.monotonic()  # when we began to write it last
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="eeipu-lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(Exception):
            # Nobody takes over what was rewritten a moment ago: no need to look whose it is.
            fresh = time.monotonic() - self._written < self._seconds / 2
            if fresh or self._is_ours():
                self._files.delete(self._path)

    def _beat(self) -> None:
        count = 0
        while not self._ended.wait(self._seconds / _BEATS_PER_LEASE):
            count += 1
            try:
                if not self._is_ours():
                    self._written = -math.inf
                    return
                written = time.monotonic()
                self._files.replace(self._path, _content(self._token, count))
                self._written = written
            except Exception as error:
                logger.debug("heartbeat failed: %s", error)

    def _is_ours(self) -> bool:
        return bool(json.loads(self._files.read(self._path))["token"] == self._token)


def _content(token: str, beat: int) -> bytes:
    return json.dumps(
        {"token": token, "beat": beat, "machine": machine(), "pid": os.getpid()}
    ).encode()


def holder_ended(content: bytes) -> bool:
    """Whether the holder was a process of this machine, and is no more: none need wait for it."""
    try:
        holder = json.loads(content)
        return has_ended(holder["machine"], int(holder["pid"]))
    except Exception:
        return False


def _acquire(
    files: Files, key: str, is_done: Callable[[], bool], lease_seconds: float, wait: float | None
) -> _NoLease | None:
    """Return the lease, or None once the result is there."""
    path, token = layout.lease_path(key), uuid.uuid4().hex
    started = changed_at = time.monotonic()
    last: bytes | None = None
    pause = _FIRST_PAUSE
    while True:
        lease = _Lease(files, path, token, lease_seconds)
        if files.create(path, _content(token, 0)):
            # Asked under the lease: whoever had it before may have finished meanwhile.
            if is_done():
                files.delete(path)
                return None
            return lease
        if is_done():
            return None
        content = _read(files, path)
        now = time.monotonic()
        if content != last:
            last, changed_at = content, now
        if content is not None and (now - changed_at > lease_seconds or holder_ended(content)):
            if _take_over(files, path, content, token):
                return lease
            if now - changed_at > 2 * lease_seconds:
                return _NO_LEASE
        if wait is not None and now - started >= wait:
            return _NO_LEASE
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE, lease_seconds / _BEATS_PER_LEASE)


def _read(files: Files, path: str) -> bytes | None:
    try:
        return files.read(path)
    except FileNotFoundError:
        return None


def _take_over(files: Files, path: str, expired: bytes, token: str) -> bool:
    """Replace an expired lease; of several waiters, the one who creates the claim does it."""
    claim = f"{layout.TEMPORARY}/{hashlib.sha256(expired).hexdigest()}"
    if not files.create(claim, b""):
        return False
    try:
        if _read(files, path) != expired:
            return False
        files.replace(path, _content(token, 0))
        return True
    finally:
        files.delete(claim)
