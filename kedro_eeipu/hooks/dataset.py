"""The dataset that replaces a produced dataset during a planned run."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from time import perf_counter
from typing import Any

from kedro.io import AbstractDataset, MemoryDataset

from kedro_eeipu._kedro import copy_mode, inferred_copy_mode
from kedro_eeipu.cache.store.store import Blob, CacheMiss, Record, Store, Unstorable
from kedro_eeipu.hooks.declared import (
    changes_content,
    file_config,
    is_persistent,
    lies_elsewhere,
    private_copy,
    private_memory,
    shares_value,
    written_and_read,
)
from kedro_eeipu.hooks.kept_files import KeptFiles
from kedro_eeipu.hooks.maker import Maker
from kedro_eeipu.hooks.mutability import deep_copies_share, holds_mutable
from kedro_eeipu.hooks.run_directory import Output, RunDirectory

__all__ = ["MemoizedDataset", "warn_once"]

logger = logging.getLogger(__name__)

# What has been warned of: a study runs the same nodes again and again.
_warned: set[tuple[str, str]] = set()


def warn_once(message: str, name: str, reason: object) -> None:
    """Log a warning about a node or dataset, each reason once in a process."""
    if (name, str(reason)) not in _warned:
        _warned.add((name, str(reason)))
        logger.warning(message, name, reason)


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
        maker: Is told once the output is saved, and computes it again when a planned blob has
            vanished.
        kind_token: Token of the declared kind through which consumers see the value, ``None`` when
            it is unknown: they are then never cached.
        stored: Whether the value goes to the shared store, or only to the run's own.
        lies_in_file: Whether the catalog declares it as one that outlives the process.
        files: Where its files are kept if its value is lazy, ``None`` where none are.
        metadata: What the catalog says about it to hooks; if not given, that of ``declared``.

    Attributes:
        is_altered: Whether a node was seen to change the content in place.
        unstorable: Why the content could not be stored, as the end of a sentence.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        run: RunDirectory,
        declared: AbstractDataset[Any, Any] | None = None,
        *,
        write_through: bool = False,
        maker: Maker | None = None,
        kind_token: str | None = "",
        stored: bool = True,
        lies_in_file: bool = False,
        files: KeptFiles | None = None,
        metadata: Any = None,
    ) -> None:
        self.name = name
        self.store = store
        self.run = run
        self.declared = declared
        self.write_through = write_through
        self.maker = maker
        self.kind_token = kind_token
        self.stored = stored
        self.lies_in_file = lies_in_file or is_persistent(declared)
        self.files = files
        self.planned: Output | None = None
        self._memory: MemoryDataset | None = None
        self._shared_digest: str | None = None
        self._written: set[str | None] = set()  # private files with the content
        self.is_altered = False
        self.unstorable = ""
        self.metadata = metadata or getattr(declared, "metadata", None)

    def __getattr__(self, attribute: str) -> Any:
        reason = f"'{type(self).__name__}' object has no attribute '{attribute}'"
        if attribute in getattr(self.__dict__.get("declared"), "__dict__", ()):
            reason = (
                f"in a trial '{self.name}' lies in the cache and has no '{attribute}'; "
                f"a hook can ask for getattr(dataset, '{attribute}', None)"
            )
        raise AttributeError(reason, name=attribute, obj=self)

    @property
    def output(self) -> Output | None:
        """Where the content is, ``None`` before it exists or when it could not be stored."""
        return self.planned or self.run.output(self.name)

    @property
    def is_known(self) -> bool:
        """Whether its blob stands for what its readers get."""
        told = self.run.output(self.name)
        return not self.is_altered and (told is None or told.is_known)

    def promise(self, blob: Blob | None) -> None:
        """Plan to serve this content, or take the plan back."""
        self.planned = None if blob is None else Output(blob)

    @property
    def is_lazy(self) -> bool:
        """Whether its readers evaluate it, or call what it refers to, while they run."""
        output = self.output
        return output is not None and output.blob.is_recipe and not self.has_files(output.blob)

    def has_files(self, blob: Blob) -> bool:
        """Whether files are kept of a lazy value."""
        return self.files is not None and self.files.exist(blob)

    @property
    def delivers(self) -> bool:
        """Whether the content has to get to a declared place, whether anybody reads it or not."""
        return self.write_through and is_persistent(self.declared)

    @property
    def delivered(self) -> bool:
        """Whether this run has written the declared place; before, an earlier run's is there."""
        return self.delivers and (
            self._memory is not None or self.run.output(self.name) is not None
        )

    def load(self) -> Any:
        if self.declared is not None and self.delivered:
            return self.declared.load()
        started = perf_counter()
        is_kept, value = self.from_files()
        if not is_kept:
            value = self._copied(self._as_declared(self.value()))
        if self._memory is None:
            self.run.put_load(self.name, perf_counter() - started)
            if self._copies_share(value):
                self.hold(value)
        if self._memory is not None and self._shared_digest is None and self._copies_share(value):
            self._shared_digest = self._digest_in_memory()
            return self._memory.load()
        return value

    @property
    def has_new_files(self) -> bool:
        """Whether this run has written files that are not part of the cache yet."""
        return self.files is not None and self.files.are_new

    def drop_new_files(self) -> None:
        """Delete files that have not become part of the cache."""
        if self.files is not None:
            self.files.close()

    def content_of(self, blob: Blob) -> Any:
        """What is kept of a planned output.

        Raises:
            CacheMiss: It is no longer there.
        """
        is_kept, value = self.from_files() if blob.is_recipe else (False, None)
        return value if is_kept else self.store.load(blob)

    def commit_files(self, blob: Blob, record: Record) -> int:
        """Make the files that were written part of the cache; returns their bytes."""
        if self.files is None or not blob.is_recipe:
            return 0
        try:
            return self.files.commit(blob, record.key, float(record.meta.get("seconds", 0.0)))
        except OSError as error:
            warn_once("The files of %s are not kept: %s", self.name, error)
            return 0

    def from_files(self) -> tuple[bool, Any]:
        """Whether there are files of it, and what its dataset loads from them."""
        output = self.output
        path = None if self.files is None else self.files.path(output.blob if output else None)
        if path is None:
            return False, None
        try:
            return True, self._loaded(path)
        except Exception as error:
            warn_once("The files of %s that are kept cannot be loaded: %s", self.name, error)
            return False, None

    def _loaded(self, path: str) -> Any:
        assert self.files is not None
        return self.files.load(path)

    def look_for_changes(self) -> bool:
        """Whether a node has changed the content in place where other nodes see it.

        Kedro's copy of a table shares the lists in its cells with all other copies. Such a value
        is handed on by Kedro's own copy here, too, and what its readers get then depends on which
        nodes ran before them.
        """
        if self._shared_digest not in (None, self._digest_in_memory()):
            self.is_altered = True
        return self.is_altered

    def _digest_in_memory(self) -> str | None:
        if self._memory is None:
            return None
        try:
            return self.store.digest(self._memory.load(), recipes=True).digest
        except Unstorable:
            return None

    def _copies_share(self, value: Any) -> bool:
        """Whether copies that Kedro makes for the readers of a value have objects in common."""
        if is_persistent(self.declared):
            return False
        mode = copy_mode(self.declared) or inferred_copy_mode(value)
        if mode == "deepcopy":  # of which pandas' own copies do without the cells
            return deep_copies_share(value)
        return mode == "assign" or (mode == "copy" and holds_mutable(value))

    def _shares_parts(self, value: Any) -> bool:
        """Whether Kedro's copies of a value have something in common that can be changed in it."""
        mode = copy_mode(self.declared) or inferred_copy_mode(value)
        return mode != "assign" and self._copies_share(value)

    def value(self) -> Any:
        """The content as the node returned it."""
        if self._memory is not None:
            return self._memory.load()
        return self._from_store()

    def recorded_value(self) -> Any:
        """The content as the nodes after it see it; nothing is computed or counted for that.

        Raises:
            CacheMiss: It is no longer in the cache.
        """
        output = self.output
        is_kept, value = self.from_files()
        if is_kept:
            return value
        if output is not None and not (output.blob.is_recipe and self.is_held):
            value = (self.run.scratch if output.scratch else self.store).load(output.blob)
        elif self._memory is not None:
            value = self._memory.load()
        else:
            raise CacheMiss("it has not been produced in this run")
        return self._copied(self._as_declared(value))

    def keep(self) -> None:
        """Let the content be loaded still when the run's directory is gone."""
        output = self.planned = self.output
        if output is None or self._memory is not None or self.delivers:
            return
        if output.scratch or output.blob.is_recipe:
            self.hold(self._from_store())

    def save(self, data: Any) -> None:
        deliver = self.delivers and not self.delivered
        self._written.clear()
        output = self.planned or (None if shares_value(self.declared) else self._dump(data))
        if output is not None and output.blob.is_recipe:
            output = self._keep_files(data, output)
        elif output is None or (self.planned is None and self._copies_share(data)):
            self.hold(data)
        if deliver and self.declared is not None:
            self.declared.save(self._once_hooked(data))
        if output is not None:
            self.run.put_output(self.name, output)
        if self.maker is not None:
            self.maker.saved(self.name, output)

    def _once_hooked(self, data: Any) -> Any:
        """What is saved, without what hooks have done again to a value that was served.

        The content of a record is what they have left when it was made.
        """
        is_served = self.planned is not None and not self.planned.blob.is_recipe
        hooks = getattr(self.maker and self.maker.identity, "hooks", "")
        return self._from_store() if is_served and hooks else data

    def _keep_files(self, data: Any, output: Output) -> Output:
        """Let its own dataset write a lazy value into the cache, or else hold it."""
        if self.has_files(output.blob):
            return output
        if self.files is not None:
            try:
                self.files.write(data)
                return replace(output, blob=replace(output.blob, seconds=self.files.seconds))
            except Exception as error:  # what its dataset refuses fails where it is read
                warn_once("%s is not kept: %s", self.name, error)
        self.hold(data)
        return output

    @property
    def is_held(self) -> bool:
        """Whether the value is in this process."""
        return self._memory is not None

    def hold(self, value: Any) -> None:
        """Keep the value in this process, for its readers."""
        self._memory = MemoryDataset(copy_mode=copy_mode(self.declared))
        try:
            self._memory.save(value)
        except Exception:
            # Kedro saves it to its file without a copy, so it need not have one (`return plt`).
            if not self.lies_in_file:
                raise
            self._memory = MemoryDataset(copy_mode="assign")
            self._memory.save(value)

    def _dump(self, data: Any) -> Output | None:
        if self.stored:
            try:
                return Output(self.store.dump(data))
            except Unstorable as error:
                reason = error.reason
                if error.no_bytes and self.maker is not None and not self._shares_parts(data):
                    recipe = self.maker.recipe(self.name, data)
                    if isinstance(recipe, Blob):
                        return Output(recipe)
                    reason = f"{reason}, and {recipe}" if recipe else reason
                self.unstorable = f": {reason}"
                warn_once("%s is not cached: %s", self.name, reason)
                if error.no_bytes:
                    return None
        try:
            return Output(self.run.scratch.dump(data), scratch=True)
        except Unstorable as reason:
            self.unstorable = f": {reason}"
            return None

    def _from_store(self) -> Any:
        for attempt in range(2):
            output = self.output
            try:
                if output is None:
                    raise CacheMiss("it has not been produced in this run")
                return (self.run.scratch if output.scratch else self.store).load(output.blob)
            except CacheMiss as miss:
                if attempt or self.maker is None:
                    raise
                level = logging.DEBUG if self.is_lazy else logging.WARNING
                logger.log(level, "%s is computed again: %s", self.name, miss)
                self.maker.rebuild(self.name)
                if self._memory is not None:
                    return self._memory.load()
        raise AssertionError("unreachable")

    def _as_declared(self, value: Any) -> Any:
        if lies_elsewhere(self.declared):
            reason = f"its {type(self.declared).__name__} does not lie in a file"
            warn_once("%s is passed on as it is: %s", self.name, reason)
        if self.declared is None or not changes_content(self.declared):
            return value
        config = file_config(self.declared)
        path = None if config is None else self.run.private_path(self.name, config)
        try:
            if config is None or path is None:
                private = private_memory(self.declared, self.name)
            else:
                private = private_copy(config, self.name, path)
        except Exception as error:
            warn_once("%s is passed on as it is: %s", self.name, error)
            return value
        # What cannot be written or read back fails here as it does in a plain run. A file is
        # written once: what was loaded from it may be read only later.
        return written_and_read(private, value, path, self._written)

    def _copied(self, value: Any) -> Any:
        """An array in the order of Kedro's copy, on which the last digits of a sum depend."""
        numpy = sys.modules.get("numpy")
        if numpy is None or is_persistent(self.declared) or not isinstance(value, numpy.ndarray):
            return value
        copies = copy_mode(self.declared) in (None, "copy")
        return value.copy() if copies and not value.flags.c_contiguous else value

    def _exists(self) -> bool:
        return self._memory is not None or self.output is not None

    def _release(self) -> None:
        self._memory = None

    def _describe(self) -> dict[str, Any]:
        return {"name": self.name}
