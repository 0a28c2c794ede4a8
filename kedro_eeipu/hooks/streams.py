"""Nodes that are generators: Kedro saves each chunk by itself.

If the catalog declares all outputs as datasets that are in files, these write the chunks into the
cache, as they write lazy values. The node is recorded once its last chunk is saved.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from kedro.io import AbstractDataset

from kedro_eeipu._kedro import copy_node
from kedro_eeipu.cache.store.store import Blob, CacheMiss
from kedro_eeipu.hooks.action import NodeAction
from kedro_eeipu.hooks.dataset import MemoizedDataset
from kedro_eeipu.hooks.key import in_output_structure
from kedro_eeipu.hooks.own_files import save_privately
from kedro_eeipu.hooks.recipes import code_with_sources, recipe_of
from kedro_eeipu.hooks.run_directory import Output
from kedro_eeipu.hooks.shared_state import reached
from kedro_eeipu.hooks.sharing import bypass_what_was_changed
from kedro_eeipu.states import NodeState

__all__ = ["StreamAction", "StreamedDataset", "stream"]

_AGAIN: Any = object()


class StreamedDataset(MemoizedDataset):
    """An output of a generator: its chunks are saved one after the other; see `MemoizedDataset`."""

    _taking: AbstractDataset[Any, Any] | None = None

    def open(self, *, anew: bool = False) -> None:
        """Let chunks be saved from now on, into a new folder; see `KeptFiles.begin`."""
        assert self.files is not None
        self._taking = self.files.begin(anew=anew)

    def save(self, data: Any) -> None:
        if self._taking is not None:  # else it is served: the files are there
            save_privately(self._taking, data)

    def shut(self) -> None:
        """Take no chunks any more: the last one was saved."""
        self._taking = None

    def finish(self) -> None:
        """Tell that the output is whole."""
        self.shut()
        assert self.maker is not None
        output = self.planned
        if output is None:
            recipe = self.maker.recipe(self.name, None)
            if isinstance(recipe, Blob):
                output = Output(recipe)
            else:
                self.unstorable = f": {recipe}" if recipe else ""
        if output is not None:
            self.run.put_output(self.name, output)
        self.maker.saved(self.name, output)

    def load(self) -> Any:
        started = time.perf_counter()
        value = self.value()
        self.run.put_load(self.name, time.perf_counter() - started)
        return value

    def value(self) -> Any:
        """What its dataset loads from the files.

        Raises:
            CacheMiss: There are none.
        """
        is_kept, value = (False, None) if self.has_new_files else self.from_files()
        if is_kept:
            return value
        assert self.files is not None
        if self.maker is not None:
            self.maker.rebuild(self.name)
        path = self.files.path(self.output.blob if self.output else None)
        if path is None:
            raise CacheMiss("it has not been produced in this run")
        return self._loaded(path)  # what cannot be loaded fails as in a plain run

    def are_kept(self) -> bool:
        """Whether its files are in the cache, as far as can be seen."""
        output = self.output
        return output is not None and self.files is not None and self.files.are_kept(output.blob)

    def _exists(self) -> bool:
        return self.output is not None or (self.has_new_files and self._taking is None)


class StreamAction(NodeAction):
    """The action of a generator; see `NodeAction`.

    Attributes:
        outputs: The datasets of its outputs; none if their files are not kept.
    """

    outputs: Mapping[str, StreamedDataset]  # type: ignore[assignment]

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Run the generator chunk by chunk, unless its outputs are there already.

        Then there is one chunk for hooks to look at, all that there is, which is not saved again.
        """
        if self._finished:  # a node after it had to be computed again, and needed it already
            yield in_output_structure(self.node, {n: o.value() for n, o in self.outputs.items()})
            return
        self._resume_served_before()
        values = _AGAIN if self._is_recalled else self._looked_up(args, kwargs)
        if values is None or values is _AGAIN:
            yield from self._streamed(*args, **kwargs)
        else:
            yield values
        for output in self.outputs.values():
            output.finish()
        if not self.outputs:
            self.tell(NodeState.RAN)

    def _recalled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _AGAIN

    def _streamed(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """All chunks, which Kedro saves before it asks for the next."""
        before = None
        if self._served is None:
            before = self._begin()
        else:
            now = code_with_sources(reached(self.node), self.inputs, now=True)
            bypass_what_was_changed(self, now)
        for output in self.outputs.values():
            output.open()
        started = self.call.clock()
        try:
            yield from self.node.func(*args, **kwargs)
        except BaseException as error:
            self.call.seconds = self.call.clock() - started
            pruned = self.call.pruned(error)
            self.failed(pruned or error)
            if pruned is not None:
                raise pruned from error
            raise
        self.call.seconds = self.call.clock() - started
        if self._served is None:
            self._end(before)
        else:
            self.run.put_load(self.node.outputs[0], self.call.seconds)

    def recipe(self, name: str, value: Any) -> Blob | str:
        """What stands for an output: nothing of it is left to evaluate; see `NodeAction.recipe`."""
        if self.identity is None or self._key is None:
            return ""
        if self._state.draws:
            return "it draws random numbers, so another call would give another value"
        key = self._state.key_of_record(self._key)
        return recipe_of(key, self.node.outputs.index(name))

    def rebuild(self, name: str) -> None:
        """Write the files again that somebody needs; they are gone since the run was planned."""
        with self._rebuilding:
            if self.outputs[name].has_new_files:
                return
            inputs = {name: self.catalog.load(name) for name in self.inputs}
            for output in self.outputs.values():
                output.open(anew=True)
            streams = copy_node(self.node).run(inputs)
            for chunks in zip(*streams.values(), strict=True):
                for output_name, chunk in zip(streams, chunks, strict=True):
                    self.outputs[output_name].save(chunk)
            for output in self.outputs.values():
                output.shut()
            if self._served is None or self.outputs[name].are_kept():
                return
            if not self._is_in_doubt():
                self._commit_files(self._served)


def stream(action: StreamAction, *args: Any, **kwargs: Any) -> Iterator[Any]:
    """Stand in for a generator: Kedro recognises one by its function."""
    yield from action.stream(*args, **kwargs)
