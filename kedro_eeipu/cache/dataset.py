"""The dataset that stands in for a produced dataset while a planned run goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import PurePosixPath
from time import perf_counter
from typing import Any

from kedro.io import AbstractDataset, MemoryDataset

from kedro_eeipu.cache.run_directory import Output, RunDirectory
from kedro_eeipu.cache.store import Blob, CacheMiss, Store, Unstorable

logger = logging.getLogger(__name__)

# Kinds whose load gives back exactly what was saved, so a trip through their file changes nothing.
_EXACT = ("MemoryDataset", "SharedMemoryDataset", "PickleDataset", "CachedDataset")


class MemoizedDataset(AbstractDataset[Any, Any]):
    """A dataset that a node of the run produces: served from its record, or recorded.

    A dataset that the user's catalog declares as a file may come back changed from that file (a
    CSV forgets dtypes), and the nodes downstream see it so in a plain run. They see the same
    here: the value makes the trip through a private file of the declared kind.

    Args:
        name: Name in the catalog.
        store: The shared store.
        run: The directory of the run.
        declared: What the user's catalog holds under this name.
        write_through: Whether values are also written to the declared dataset, and read back from
            it, as a plain run does; trials never do.
        record: Called with the output once it is saved.
        rebuild: Called when a planned blob has vanished, to compute it again.
        seen_as: Token of the declared kind through which consumers see the value.
        stored: Whether the value goes to the shared store, or only to the run's own.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        run: RunDirectory,
        declared: AbstractDataset | None = None,
        *,
        write_through: bool = False,
        record: Callable[[str, Output | None], None] | None = None,
        rebuild: Callable[[], None] | None = None,
        seen_as: str = "",
        stored: bool = True,
    ) -> None:
        self.name = name
        self.store = store
        self.run = run
        self.declared = declared
        self.write_through = write_through
        self.record = record
        self.rebuild = rebuild
        self.seen_as = seen_as
        self.stored = stored
        self.planned: Output | None = None
        self._memory: MemoryDataset | None = None

    @property
    def output(self) -> Output | None:
        """Where the content lies, ``None`` before it exists or when it could not be stored."""
        return self.planned or self.run.output(self.name)

    def promise(self, blob: Blob | None) -> None:
        """Plan to serve this content, or take the plan back."""
        self.planned = None if blob is None else Output(blob)

    def load(self) -> Any:
        if self.write_through and self.declared is not None and self._readable(self.declared):
            return self.declared.load()
        if self._memory is not None:
            return self._as_declared(self._memory.load())
        started = perf_counter()
        value = self._as_declared(self._from_store())
        self.run.put_load(self.name, perf_counter() - started)
        return value

    def save(self, data: Any) -> None:
        output = self._dump(data)
        if output is None:
            self._memory = MemoryDataset()
            self._memory.save(data)
        else:
            self.run.put_output(self.name, output)
        if self.write_through and self.declared is not None:
            self.declared.save(data)
        if self.record is not None:
            self.record(self.name, output)

    def _dump(self, data: Any) -> Output | None:
        if self.stored:
            try:
                return Output(self.store.dump(data))
            except Unstorable as reason:
                logger.warning("%s is not cached: %s", self.name, reason)
        try:
            return Output(self.run.scratch.dump(data), scratch=True)
        except Unstorable:
            return None

    def _from_store(self) -> Any:
        output = self.output
        for attempt in range(2):
            if output is None:
                break
            try:
                return (self.run.scratch if output.scratch else self.store).load(output.blob)
            except CacheMiss as miss:
                if attempt or self.rebuild is None:
                    raise
                logger.warning("%s is computed again: %s", self.name, miss)
                self.planned = None
                self.rebuild()
                output = self.output
                if self._memory is not None:
                    return self._memory.load()
        raise CacheMiss(f"{self.name} has not been produced in this run")

    def _as_declared(self, value: Any) -> Any:
        private = private_copy(self.declared, self.name, self.run)
        if private is None:
            return value
        try:
            private.save(value)
            return private.load()
        except NotImplementedError:
            return value
        except Exception as error:
            # A write-only dataset (a plot, an HTML page) cannot be read back by anyone, so what
            # the node returned is all there is.
            logger.warning("%s is passed on as it is: %s", self.name, error)
            return value

    @staticmethod
    def _readable(declared: AbstractDataset) -> bool:
        return not getattr(declared, "_EPHEMERAL", False) and declared.exists()

    def _exists(self) -> bool:
        return self._memory is not None or self.output is not None

    def _release(self) -> None:
        self._memory = None

    def _describe(self) -> dict[str, Any]:
        return {"name": self.name}


def private_copy(
    declared: AbstractDataset | None, name: str, run: RunDirectory
) -> AbstractDataset | None:
    """A dataset of the declared kind at a path of the run's own.

    Returns:
        ``None`` where the trip through the declared kind changes nothing, or is not possible
        because the kind is not a file.
    """
    config = file_config(declared)
    if declared is None or config is None:
        return None
    key = "filepath" if "filepath" in config else "path"
    suffix = "".join(PurePosixPath(str(config[key])).suffixes)
    arguments = {
        k: v for k, v in config.items() if k not in ("credentials", "versioned", "version")
    }
    fs_args = arguments.get("fs_args")
    if isinstance(fs_args, dict):
        arguments["fs_args"] = {k: v for k, v in fs_args.items() if k.startswith("open_args")}
    arguments[key] = run.private_path(name, suffix)
    try:
        return AbstractDataset.from_config(name, arguments)
    except Exception as error:
        logger.warning("%s is passed on as it is: %s", name, error)
        return None


def file_config(declared: AbstractDataset | None) -> dict[str, Any] | None:
    """The configuration of a declared dataset that lies in a file and may come back changed."""
    if declared is None or type(declared).__name__ in _EXACT:
        return None
    config = declared._init_config()
    return config if "filepath" in config or "path" in config else None
