"""What one run tells its own processes: outputs it produced, loads, and its nodes' events.

In one process this is passed in memory. Under ``ParallelRunner`` each node runs in its own
process. So once the object has been pickled, everything is passed through small files, each written
once and renamed into place. That a node ran or failed is always written: when a process was killed,
the costs of its interrupted trial are read from there.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kedro_eeipu import processes
from kedro_eeipu.cache.store.store import Blob, Store
from kedro_eeipu.states import NodeState

_PLAN, _OWNER = "plan-", "owner"
__all__ = ["Output", "RunDirectory", "plan_directory", "sweep_plans"]

_ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True)
class Output:
    """The place of a dataset that is produced or planned in this run.

    Attributes:
        blob: Its content.
        scratch: Whether it is in the run's own scratch store rather than in the shared one.
        is_known: Whether the blob stands for the content. A lazy value may have been evaluated on
            data that has changed since.
    """

    blob: Blob
    scratch: bool = False
    is_known: bool = True


class RunDirectory:
    """A directory that lives as long as one run; picklable, safe for threads and processes.

    Args:
        path: The directory.
        hide: Hides secrets in the text of errors.
    """

    def __init__(self, path: str | Path, hide: Callable[[str], str] = str) -> None:
        self.path = Path(path)
        self._hide = hide
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._entries: dict[tuple[str, str], Any] = {}
        self._shared = False
        self._removed = False

    def __getstate__(self) -> dict[str, Any]:
        # Another process is about to get a copy: from now on the files are what counts.
        if not self._shared:
            self._shared = True
            for (kind, name), entry in list(self._entries.items()):
                self._write(kind, name, entry)
        return {
            "path": self.path,
            "_hide": self._hide,
            "_entries": {},
            "_shared": True,
            "_removed": False,
        }

    @property
    def owner(self) -> str:
        """By what the run is known where it keeps something from being deleted."""
        return _file_name(self.path.name)

    @functools.cached_property
    def scratch(self) -> Store:
        """A store that goes with the run: for outputs that the shared one does not take."""
        return Store(str(self.path / "scratch"))

    def put_output(self, dataset: str, output: Output) -> None:
        """Record where a dataset's content is."""
        self._tell("output", dataset, asdict(output))

    def output(self, dataset: str) -> Output | None:
        """Where a dataset's content is, ``None`` when the run has not produced it."""
        entry = self._entries.get(("output", dataset))
        if entry is None and self._shared:
            entry = self._read("output", dataset)
        return None if entry is None else Output(**{**entry, "blob": Blob(**entry["blob"])})

    def put_node(self, node: str, event: Mapping[str, Any]) -> None:
        """Record what is known about a node so far; a later event replaces an earlier one."""
        if event.get("error"):
            event = {**event, "error": self._hide(event["error"])}
        lasting = event["status"] in (NodeState.RAN, NodeState.FAILED, NodeState.STOPPED)
        self._tell("node", node, {"name": node, **event}, lasting=lasting)

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The latest event of every node, by name."""
        return {e["name"]: e for e in self._all("node")}

    @contextmanager
    def waiting(self, node: str) -> Iterator[None]:
        """Inside, a node waits for another process that computes the same."""
        self._tell("wait", node, True)
        try:
            yield
        finally:
            self._tell("wait", node, False)

    def is_waiting(self) -> bool:
        """Whether a node waits."""
        return any(self._all("wait"))

    def put_load(self, dataset: str, seconds: float) -> None:
        """Tell that a dataset was read from the cache, and how long that took."""
        self._tell("load", f"{dataset}\0{os.getpid()}\0{threading.get_ident()}", [dataset, seconds])

    def loads(self) -> dict[str, float]:
        """Seconds of the slowest read from the cache, by dataset."""
        slowest: dict[str, float] = {}
        for dataset, seconds in self._all("load"):
            slowest[dataset] = max(seconds, slowest.get(dataset, 0.0))
        return slowest

    def private_path(self, dataset: str, config: Mapping[str, Any]) -> str:
        """A path of the run's own at which a dataset can be written instead of the user's.

        Args:
            dataset: Its name.
            config: Its configuration in the catalog, whose ``filepath`` or ``path`` has the suffix.
        """
        suffix = "".join(PurePosixPath(str(config.get("filepath", config.get("path")))).suffixes)
        # Several consumers may make the trip through the file at the same time.
        owner = f"{dataset}\0{os.getpid()}\0{threading.get_ident()}"
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return str(self.path / f"private-{_file_name(owner)}{suffix}")

    def remove(self) -> None:
        """Delete the directory; what is recorded from now on stays in this process."""
        self._removed, self._shared = True, False
        shutil.rmtree(self.path, ignore_errors=True)

    def _tell(self, kind: str, name: str, entry: Any, lasting: bool = False) -> None:
        self._entries[kind, name] = entry
        if (self._shared or lasting) and not self._removed:
            self._write(kind, name, entry)

    def _write(self, kind: str, name: str, entry: Any) -> None:
        target = self.path / f"{kind}-{_file_name(name)}"
        temporary = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            temporary.write_text(json.dumps(entry))
            os.replace(temporary, target)
        except FileNotFoundError:  # somebody has deleted the directory: what it held is lost
            if not self._shared:
                # Who took this run for a lost one has read it; nobody would delete a new one.
                self._removed = True
                return
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.write_text(json.dumps(entry))
            os.replace(temporary, target)

    def _read(self, kind: str, name: str) -> Any:
        try:
            return json.loads((self.path / f"{kind}-{_file_name(name)}").read_text())
        except FileNotFoundError:
            return None

    def _all(self, kind: str) -> list[Any]:
        if self._entries and not self._shared:
            return [entry for (k, _), entry in list(self._entries.items()) if k == kind]
        entries = []
        for path in sorted(self.path.glob(f"{kind}-*")):
            # A view may look while the run ends and its directory goes.
            with contextlib.suppress(FileNotFoundError):
                entries.append(json.loads(path.read_text()))
        return entries


def plan_directory(runs: Path) -> RunDirectory:
    """A new directory for a plan that nobody runs.

    Args:
        runs: Where run directories are.
    """
    # Two containers may share the folder, and number their processes alike.
    directory = RunDirectory(runs / f"{_PLAN}{os.getpid()}-{uuid.uuid4().hex[:8]}")
    owner = {"machine": processes.machine(), "pid": os.getpid()}
    (directory.path / _OWNER).write_text(json.dumps(owner))
    return directory


def sweep_plans(runs: Path) -> int:
    """Delete the directories of plans whose process has ended; returns how many.

    Args:
        runs: Where run directories are.
    """
    swept = 0
    for folder in runs.glob(f"{_PLAN}*"):
        try:
            owner = json.loads((folder / _OWNER).read_text())
            ended = processes.has_ended(owner["machine"], int(owner["pid"]))
        except (OSError, ValueError, KeyError, TypeError):  # of an earlier version, or just begun
            ended = False
            with contextlib.suppress(OSError):
                ended = time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS
        if ended:
            shutil.rmtree(folder, ignore_errors=True)
            swept += 1
    return swept


def _file_name(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
