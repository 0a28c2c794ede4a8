"""Values that their own dataset has written, as files inside of the cache.

A lazy value has no bytes, but its dataset can write what it comes to. Each is a folder
``files/<2 hex>/<digest>`` with the files in ``content`` and an account of them beside. It is
written under a temporary name and renamed when it is whole, so nothing half-written is ever read.
It belongs to a record; without that it is an orphan.

Digests of large files are added to the account a little later, by a thread, unless the account is
signed: computing them takes a fifth of what a quick library needs to write. Size and time of a file
tell until then whether it is as it was.

This needs a root on a file system of this machine: the libraries that read the files want a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kedro_eeipu.cache.files import layout
from kedro_eeipu.cache.files.base import Files
from kedro_eeipu.cache.store.chunks import digest_of
from kedro_eeipu.cache.store.errors import in_words
from kedro_eeipu.cache.store.lease import holder_ended
from kedro_eeipu.processes import machine

__all__ = ["Folder", "Folders"]

_CONTENT, _ACCOUNT = "content", "account.json"
# A pin of another machine, of which nobody can tell whether it still runs.
_LONGEST_RUN = 7 * 86400.0
# Folders that this process has read once and found to be as their account says.
_checked: dict[str, float] = {}
# Digests of so many bytes are not worth a thread.
_QUICKLY_HASHED = 1 << 22
_hashing: list[threading.Thread] = []


@dataclass(frozen=True)
class Folder:
    """A folder of the cache.

    Attributes:
        digest: Its name.
        key: Key of the record to which it belongs.
        seconds: What making it again would take.
        size: Bytes of its files.
        changed: When it was last opened.
        is_pinned: Whether a run that has not ended reads it.
    """

    digest: str
    key: str
    seconds: float
    size: int
    changed: float
    is_pinned: bool


class Folders:
    """The folders below one root.

    Args:
        files: The files of the cache.
        secret: Signs accounts; where there is one, others may write to the root, and the content
            of files is checked before it is read.
        is_trusted: Whether what is below the root may be read.
        count: Takes note of the use of a folder.
    """

    def __init__(
        self,
        files: Files,
        secret: bytes | None = None,
        is_trusted: Callable[[], bool] = lambda: True,
        count: Callable[[str], None] = lambda digest: None,
    ) -> None:
        self._files = files
        self._secret = secret
        self._is_trusted = is_trusted
        self._count = count

    @property
    def are_possible(self) -> bool:
        """Whether the root is on a file system of this machine, and can be trusted."""
        here = self._files.local_path(layout.FOLDERS_OF_FILES) is not None
        return here and self._is_trusted()

    def new(self, name: str = "") -> str:
        """A new folder to write into; it becomes one of the cache by `commit`.

        Args:
            name: By which other processes find it until then (`written`); empty for any.
        """
        temporary = self._path(f"{layout.TEMPORARY}/{name or uuid.uuid4().hex}")
        os.makedirs(os.path.join(temporary, _CONTENT), mode=0o700)
        return os.path.join(temporary, _CONTENT)

    def written(self, name: str) -> str | None:
        """The folder that `new` has made under a name, ``None`` if it is not there."""
        content = self._files.local_path(f"{layout.TEMPORARY}/{name}/{_CONTENT}")
        return content if content and os.path.isdir(content) else None

    def drop(self, written: str) -> None:
        """Delete a folder that `new` has made."""
        shutil.rmtree(os.path.dirname(written), ignore_errors=True)

    def commit(self, written: str, digest: str, key: str, seconds: float) -> int:
        """Take a folder in; if there is one of this name, that one stays.

        Args:
            written: What `new` has returned.
            digest: Its name.
            key: Key of the record to which it belongs.
            seconds: What making it again would take.

        Returns:
            Its bytes.
        """
        members = _members(written)
        total = sum(size for size, _, _ in members.values())
        at_once = bool(self._secret) or total <= _QUICKLY_HASHED
        if at_once:
            members = _hashed(written, members)
        body = {"digest": digest, "key": key, "seconds": seconds, "files": members}
        temporary = os.path.dirname(written)
        self._write_account(os.path.join(temporary, _ACCOUNT), body)
        target = self._path(layout.folder_path(digest))
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        try:
            os.rename(temporary, target)
        except OSError:
            self.drop(written)
            if not os.path.isdir(target):
                raise
            return total
        if not at_once:
            _hashing[:] = [thread for thread in _hashing if thread.is_alive()]
            _hashing.append(threading.Thread(target=self._hash_later, args=(target, body)))
            _hashing[-1].start()
        return total

    def settle(self) -> None:
        """Return once this process has added all digests to accounts."""
        while _hashing:
            thread = _hashing.pop()
            if thread.is_alive():  # in a fork it is not
                thread.join()

    def _hash_later(self, folder: str, body: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            members = _hashed(os.path.join(folder, _CONTENT), body["files"])
            path = os.path.join(folder, _ACCOUNT)
            with open(path) as file:  # the folder may have been replaced
                is_same = json.load(file)["folder"] == json.loads(json.dumps(body))
            if is_same:
                self._write_account(f"{path}.new", {**body, "files": members})
                os.replace(f"{path}.new", path)

    def _write_account(self, path: str, body: dict[str, Any]) -> None:
        with open(path, "w") as file:
            json.dump({"folder": body, "signature": self._signature(body)}, file)

    def has(self, digest: str) -> bool:
        """Whether there is a folder of this name."""
        return self.are_possible and os.path.isdir(self._path(layout.folder_path(digest)))

    def open(self, digest: str, owner: str) -> str | None:
        """The path of a folder's content, ``None`` if it is not there or not whole.

        Args:
            digest: Its name.
            owner: The run that reads it; until `release` it is not deleted.
        """
        if not self.are_possible:
            return None
        folder = self._path(layout.folder_path(digest))
        if not os.path.isdir(folder):
            return None
        try:
            os.utime(os.path.join(folder, _ACCOUNT))
            self._pin(digest, owner)
            problem = self._problem(folder, digest, reading=bool(self._secret))
        except OSError:
            return None
        if problem is None:
            self._count(digest)
            return os.path.join(folder, _CONTENT)
        self.release(owner, digest)
        self.delete(digest, is_whole=False)
        return None

    def release(self, owner: str, digest: str = "*") -> None:
        """Let folders be deleted again that a run has opened."""
        for entry in self._pins():
            of_digest, _, rest = layout.name_of(entry).partition(".")
            if rest.partition(".")[0] == owner and digest in ("*", of_digest):
                with contextlib.suppress(Exception):
                    self._files.delete(entry.path)

    def delete(self, digest: str, *, is_whole: bool = True) -> None:
        """Delete a folder, first its name and then its files, unless a run reads it.

        Args:
            digest: Its name.
            is_whole: Whether its files are as they should be; others are no good to any run.
        """
        folder = self._path(layout.folder_path(digest))
        doomed = self._path(f"{layout.TEMPORARY}/{uuid.uuid4().hex}")
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(doomed), mode=0o700, exist_ok=True)
            os.rename(folder, doomed)
            if is_whole and digest in self._pinned():  # by a run that has just opened it
                os.rename(doomed, folder)
            else:
                shutil.rmtree(doomed, ignore_errors=True)

    def all(self) -> Iterator[Folder]:
        """All folders; one without a readable account belongs to no record."""
        if not self.are_possible:
            return
        pinned = self._pinned()
        for digest in self._digests():
            folder = self._path(layout.folder_path(digest))
            try:
                changed = os.stat(os.path.join(folder, _ACCOUNT)).st_mtime
                body = self._account(digest)
                key, seconds = str(body["key"]), float(body["seconds"])
                size = sum(size for size, _, _ in body["files"].values())
            except (OSError, ValueError, KeyError, TypeError):
                key, seconds, size, changed = "", 0.0, 0, 0.0
            yield Folder(digest, key, seconds, size, changed, digest in pinned)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Read all files; for each folder that is not as its account says, its path and why."""
        self.settle()
        for digest in self._digests() if self.are_possible else ():
            path = layout.folder_path(digest)
            try:
                problem = self._problem(self._path(path), digest, reading=True, anew=True)
            except OSError as error:
                problem = in_words(error)
            if problem is not None:
                yield path, problem

    def sweep(self, oldest: float) -> int:
        """Delete pins of runs that have ended, and what was left half-written before this time."""
        if not self.are_possible:
            return 0
        swept = 0
        for entry in self._pins():
            with contextlib.suppress(OSError):
                ended = holder_ended(self._files.read(entry.path))
                if ended or entry.changed < time.time() - _LONGEST_RUN:
                    self._files.delete(entry.path)
                    swept += 1
        top = self._path(layout.TEMPORARY)
        for name in os.listdir(top) if os.path.isdir(top) else ():
            folder = os.path.join(top, name)
            with contextlib.suppress(OSError):
                if os.path.isdir(folder) and _youngest(folder) < oldest:
                    shutil.rmtree(folder, ignore_errors=True)
                    swept += 1
        return swept

    def _digests(self) -> list[str]:
        top = self._path(layout.FOLDERS_OF_FILES)
        names = [
            name
            for fan in (sorted(os.listdir(top)) if os.path.isdir(top) else ())
            for name in sorted(os.listdir(os.path.join(top, fan)))
        ]
        return [name for name in names if layout.is_digest(name)]

    def _pin(self, digest: str, owner: str) -> None:
        holder = {"machine": machine(), "pid": os.getpid()}
        path = f"{layout.PINS}/{digest}.{owner}.{os.getpid()}"
        self._files.create(path, json.dumps(holder).encode())

    def _pins(self) -> list[layout.Entry]:
        return list(self._files.list(layout.PINS))

    def _pinned(self) -> set[str]:
        return {layout.name_of(entry).partition(".")[0] for entry in self._pins()}

    def _account(self, digest: str) -> dict[str, Any]:
        """What a folder's account says.

        Raises:
            ValueError: It is damaged, of another folder, or not signed.
        """
        path = f"{layout.folder_path(digest)}/{_ACCOUNT}"
        account = json.loads(self._files.read(path))
        body: dict[str, Any] = account["folder"]
        signature = self._signature(body)
        if body["digest"] != digest:
            raise ValueError("it is the account of another folder")
        if signature and not hmac.compare_digest(signature, str(account["signature"])):
            raise ValueError("its signature is missing or wrong")
        return body

    def _problem(
        self, folder: str, digest: str, *, reading: bool, anew: bool = False
    ) -> str | None:
        """Why the files are not what the account says; files beside them do not count.

        Args:
            folder: The folder.
            digest: Its name.
            reading: Whether files are read whose size and time are as they were.
            anew: Whether it does not matter that this process has read them before.
        """
        try:
            members = self._account(digest)["files"].items()
        except (ValueError, KeyError, TypeError, AttributeError):
            return "its account is damaged"
        except FileNotFoundError:
            return "its account is missing"
        for name, (size, changed, content) in members:
            path = os.path.join(folder, _CONTENT, *name.split("/"))
            try:
                status = os.stat(path)
            except FileNotFoundError:
                return f"{name} is missing"
            if status.st_size != size:
                return f"{name} has another size"
            checked = _checked.get(path) == status.st_ctime and not anew
            if not content and status.st_mtime_ns != changed:
                return f"{name} was changed"
            if content and ((reading and not checked) or status.st_mtime_ns != changed):
                if _hash(path) != content:
                    return f"the content of {name} does not match"
                _checked[path] = status.st_ctime
        return None

    def _signature(self, body: dict[str, Any]) -> str:
        if not self._secret:
            return ""
        message = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        return hmac.new(self._secret, b"kedro-eeipu folder\0" + message, hashlib.sha256).hexdigest()

    def _path(self, path: str) -> str:
        local = self._files.local_path(path)
        if local is None:
            raise OSError("the cache does not lie on this machine")
        return local


def _members(folder: str) -> dict[str, tuple[int, int, str]]:
    """Size and time of each file below a folder, by its relative name, and no digest."""
    members: dict[str, tuple[int, int, str]] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            status = os.stat(path)
            relative = os.path.relpath(path, folder).replace(os.sep, "/")
            members[relative] = (status.st_size, status.st_mtime_ns, "")
    return dict(sorted(members.items()))


def _hashed(
    folder: str, members: dict[str, tuple[int, int, str]]
) -> dict[str, tuple[int, int, str]]:
    """The same with digests."""
    paths = {name: os.path.join(folder, *name.split("/")) for name in members}
    return {n: (size, at, _hash(paths[n])) for n, (size, at, _) in members.items()}


def _hash(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return digest_of(file)


def _youngest(folder: str) -> float:
    """When something below a folder was last changed."""
    times = [os.stat(folder).st_mtime]
    for place, folders, names in os.walk(folder):
        times += [os.stat(os.path.join(place, name)).st_mtime for name in (*folders, *names)]
    return max(times)
