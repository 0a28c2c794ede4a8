"""The configuration as it was when tuning began, whatever is edited meanwhile.

A Kedro session reads ``conf/`` again for every run, so an edit during a study would change its
later trials silently. What the first loader got from files and resolvers is kept, and given to
the loaders of all later runs. They merge it as Kedro does, each with its own runtime parameters.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["ConfigurationSnapshot", "PortableSnapshot"]

# What a worker reads from its own configuration.
_NOT_SHARED = "credentials"
_OWN = "eeipu"  # which says nothing that nodes see
_SUFFIXES = (".yml", ".yaml", ".json")

PortableSnapshot = dict[tuple[Any, ...], Any]

_reading = threading.local()  # `.now`: the snapshot and the key that a loader reads at present


class ConfigurationSnapshot:
    """What files and resolvers said about each key of the configuration when first asked.

    Args:
        received: The snapshot of another process, for a worker: it may be in another folder there.
    """

    def __init__(self, received: PortableSnapshot | None = None) -> None:
        self._answers: PortableSnapshot = dict(received or {})
        self._parsed: dict[str, bytes] = {}
        self._folders: list[Path] = []
        self._files: dict[Path, tuple[int, int]] = {}  # modification time and size
        self._digests: dict[Path, str] = {}

    @contextmanager
    def reading(self, key: str) -> Iterator[None]:
        """Inside, a loader reads this key of the configuration."""
        outer = getattr(_reading, "now", None)
        _reading.now = (self, key)
        try:
            yield
        finally:
            _reading.now = outer

    def file_system(self, actual: Any, root: str) -> Any:
        """A filesystem that gives every answer twice alike.

        Args:
            actual: The fsspec filesystem that is asked first.
            root: The configuration folder; answers are kept relative to it.
        """
        return _SnapshotFiles(self, actual, root)

    def parsed(self, key: str, parse: Callable[[], Any]) -> Any:
        """What the files of a key hold, parsed once; a copy, for merging changes it."""
        if key not in self._parsed:
            self._parsed[key] = pickle.dumps(parse())  # copied six times as fast as by `copy`
        return pickle.loads(self._parsed[key])

    def answer(self, question: tuple[Any, ...], ask: Callable[[], Any]) -> Any:
        """The first answer to a question about the key that is being read."""
        _, key = getattr(_reading, "now", None) or (self, "")
        question = (key, *question)
        if question not in self._answers:
            self._answers[question] = ask()
        return self._answers[question]

    @staticmethod
    def resolver(name: str, resolver: Callable[..., Any]) -> Callable[..., Any]:
        """A resolver that answers from the snapshot of the loader that reads; else as it would.

        OmegaConf has one resolver of a name in a process, for all loaders.
        """

        @functools.wraps(resolver)
        def resolve(*arguments: Any, **special: Any) -> Any:
            now = getattr(_reading, "now", None)
            if now is None or special:  # nodes of the configuration itself are not the same twice
                return resolver(*arguments, **special)
            question = ("resolver", name, repr(arguments))
            return now[0].answer(question, lambda: resolver(*arguments))

        return resolve

    def portable(self) -> PortableSnapshot:
        """What a worker needs of it; credentials it reads from its own configuration."""
        return {q: a for q, a in self._answers.items() if q[0] != _NOT_SHARED and _picklable(a)}

    def files(self) -> dict[str, str]:
        """Digests of the files that were read, by path; credentials are left out."""
        return {
            question[2].removeprefix("./"): hashlib.sha256(answer).hexdigest()
            for question, answer in sorted(self._answers.items(), key=repr)
            if question[0] not in (_NOT_SHARED, _OWN, "logging") and question[1] == "open"
        }

    def token(self) -> str:
        """Changes with everything that a worker needs of it."""
        content = sorted((repr(q), repr(a)) for q, a in self.portable().items())
        return hashlib.sha256(repr(content).encode()).hexdigest()

    def watch(self, folders: list[Path]) -> None:
        """Remember the files of these folders, for `edited`."""
        self._folders = folders
        self._files = self._look()
        self._digests = {file: _digest(file) for file in self._files}

    def edited(self) -> list[Path]:
        """Files that were edited, added or removed since `watch`."""
        files = self._look()
        if files == self._files:
            return []
        changed = [
            file
            for file in sorted({*files, *self._files})
            if files.get(file) != self._files.get(file)
            and self._digests.get(file, "") != _digest(file)
        ]
        self._files = files if not changed else self._files
        return changed

    def _look(self) -> dict[Path, tuple[int, int]]:
        stamps = {}
        for folder in self._folders:
            for file in folder.rglob("*"):
                if file.suffix in _SUFFIXES:
                    with contextlib.suppress(OSError):
                        status = file.stat()
                        stamps[file] = (status.st_mtime_ns, status.st_size)
        return stamps


class _SnapshotFiles:
    """A filesystem whose files cannot be edited, as far as Kedro's loader asks."""

    def __init__(self, snapshot: ConfigurationSnapshot, actual: Any, root: str) -> None:
        self._snapshot = snapshot
        self._actual = actual
        self._root = root.rstrip("/")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._actual, name)

    def isdir(self, path: str) -> Any:
        return self._ask("isdir", path)

    def isfile(self, path: str) -> Any:
        return self._ask("isfile", path)

    def glob(self, path: str) -> list[str]:
        def ask() -> list[str]:
            return [self._relative(file) for file in self._actual.glob(path)]

        files = self._snapshot.answer(("glob", self._relative(path)), ask)
        return [self._absolute(file) for file in files]

    def open(self, path: str, *arguments: Any, **options: Any) -> Any:
        def ask() -> bytes:
            with self._actual.open(path) as file:
                content: bytes = file.read()
                return content

        return io.BytesIO(self._snapshot.answer(("open", self._relative(path)), ask))

    def _ask(self, method: str, path: str) -> Any:
        ask = functools.partial(getattr(self._actual, method), path)
        return self._snapshot.answer((method, self._relative(path)), ask)

    def _relative(self, path: str) -> str:
        inside = str(path).startswith(f"{self._root}/")
        return f"./{str(path)[len(self._root) + 1 :]}" if inside else str(path)

    def _absolute(self, path: str) -> str:
        return f"{self._root}/{path[2:]}" if path.startswith("./") else path


def _picklable(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except Exception:
        return False
    return True


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
