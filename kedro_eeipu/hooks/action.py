"""One node of one planned run: its key, and what happens when Kedro calls its function."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node

from kedro_eeipu._kedro import copy_node
from kedro_eeipu.cache.identity.code import CodeIdentity
from kedro_eeipu.cache.store.store import Blob, CacheMiss, Record, Store
from kedro_eeipu.curves import Thresholds
from kedro_eeipu.errors import error_text
from kedro_eeipu.hooks.calling import NodeCall
from kedro_eeipu.hooks.dataset import MemoizedDataset
from kedro_eeipu.hooks.doubts import Doubts
from kedro_eeipu.hooks.found_by_itself import Call, Opened, Times, in_words, warn_of_unseen
from kedro_eeipu.hooks.key import Identity, in_output_structure, key_parts, node_key
from kedro_eeipu.hooks.node_state import StateOfNode
from kedro_eeipu.hooks.opened_files import note_files, noted_files
from kedro_eeipu.hooks.process_state import Beginning, CarriedState
from kedro_eeipu.hooks.pruning import Pruned
from kedro_eeipu.hooks.recipes import (
    code_with_sources,
    disown,
    recipe_of,
    warn_of_changes,
    why_no_recipe,
)
from kedro_eeipu.hooks.recording import node_event, put_record, record_meta
from kedro_eeipu.hooks.run_directory import Output, RunDirectory
from kedro_eeipu.hooks.shared_state import names, reached
from kedro_eeipu.hooks.sharing import (
    bypass_what_shares_files,
    bypass_what_shares_inputs,
    bypass_what_shares_state,
    bypass_what_was_changed,
)
from kedro_eeipu.states import NodeState

__all__ = ["NodeAction"]

logger = logging.getLogger(__name__)


class NodeAction:
    """Stands in for a node's function during one run.

    Called by Kedro with the loaded inputs, it looks the key up once more (its inputs may have
    come out as in an earlier run), else runs the function under the key's lease and times it.
    The record is written when the last of the outputs has been saved.

    Args:
        node: The node, with the function it had when the run began.
        identity: What is known about its key, ``None`` when it is never cached.
        inputs: The datasets it loads, parameters among them.
        outputs: Makers of the datasets it saves, by name; what they make tells the action when
            an output is saved, or its content is gone.
        catalog: The catalog of the run.
        store: The shared store.
        run: The directory of the run.
        peers: All actions of the run, by node; it may still be growing.
        doubts: Where it is noted that nodes depend on each other.
        why_not: Why it is never cached.
        meta: What its record says about the run that made it.
        carried: What the nodes of the run leave in the process for each other.
        thresholds: What ends a call of its function early, ``None`` where nothing does.
        on_finished: Called with the datasets of its outputs once all of them are saved.
    """

    unit: tuple[str, ...] = ()  # see `UnitAction`

    def __init__(
        self,
        node: Node,
        identity: Identity | None,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Callable[..., MemoizedDataset]],
        catalog: CatalogProtocol[Any, Any],
        store: Store,
        run: RunDirectory,
        *,
        peers: Mapping[str, NodeAction],
        doubts: Doubts,
        why_not: str | None = None,
        meta: Mapping[str, Any] | None = None,
        carried: CarriedState | None = None,
        thresholds: Thresholds | None = None,
        on_finished: Callable[[Mapping[str, MemoizedDataset]], None] | None = None,
    ) -> None:
        functools.update_wrapper(self, node.func, updated=())
        self.__name__ = getattr(node.func, "__name__", type(node.func).__name__)
        self.node = node
        self.identity = identity
        self.inputs = inputs
        self.outputs = {name: make(maker=self) for name, make in outputs.items()}
        self.catalog = catalog
        self.store = store
        self.run = run
        self.why_not = why_not
        self.meta = dict(meta or {})
        self.peers = peers
        self._doubts = doubts
        self._state = StateOfNode(node.name, carried, identity.project if identity else Path())
        self._on_finished = on_finished
        self._key: str | None = None
        self.call = NodeCall(node, self.meta, thresholds)
        self._saved: dict[str, Output] = {}
        self._served: Record | None = None
        self._unseen = ""
        self._planned = time.time()
        self._finished = self._is_recalled = False
        self._kept = 0
        self._prepare()

    def _prepare(self) -> None:
        self._lock, self._rebuilding, self._lease = threading.Lock(), threading.RLock(), ExitStack()

    def __getstate__(self) -> dict[str, Any]:
        # Another process has its own globals.
        state = {**self.__dict__, "peers": {}}
        del state["_lock"], state["_rebuilding"], state["_lease"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def key(self) -> str | None:
        """The node's key, ``None`` while the content of an input is not known."""
        if self.identity is None:
            return None
        return node_key(self.node, self.identity, self.inputs)

    def parts(self) -> dict[str, str]:
        """What the key is made of, shortened, to tell why two runs of a node differ."""
        return {} if self.identity is None else key_parts(self.identity, self.inputs)

    def _all_parts(self) -> dict[str, str]:
        """With the state in which it began; that is only known of a run."""
        parts = self.parts()
        return parts and {**parts, **self._state.parts()}

    def bypass(self, reason: str) -> None:
        """Neither look up nor record this node in this run: it has no key."""
        self.identity, self.why_not, self._key = None, reason, None

    def serve(self, record: Record, *, recall: bool = False) -> None:
        """Serve the node from its record: nothing of it is executed or loaded.

        Args:
            record: The record.
            recall: Whether its function is called all the same, for outputs that are recipes.
        """
        self._served, self._is_recalled = record, recall
        self._promise(record)
        warn_of_unseen(self.node.name, record.meta.get("unseen", ""))
        self.tell(NodeState.REUSED, record=record)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._finished:  # a node after it had to be computed again, and needed it already
            return in_output_structure(self.node, {n: o.value() for n, o in self.outputs.items()})
        self._resume_served_before()
        if self._is_recalled:
            return self._recalled(args, kwargs)
        values = self._looked_up(args, kwargs)
        return self._execute(args, kwargs) if values is None else values

    def _looked_up(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What serves the node now that its inputs are known, ``None`` where nothing does."""
        self._key = self.key()
        values = self._served_late(args, kwargs)
        if values is None and self._key is not None:
            with self.run.waiting(self.node.name):
                ours = self._lease.enter_context(self.store.lease(self._key))
            if not ours:  # another has computed it meanwhile
                values = self._served_late(args, kwargs)
        return values

    def find(self, begins: Beginning | None, *, is_certain: bool = True) -> Record | None:
        """The record that serves the node if it begins in this state; see `StateOfNode.find`."""
        key = self.key()
        if key is None:
            return None
        record = self._state.find(self.store, key, begins, is_certain=is_certain)
        return record if record and len(record.outputs) == len(self.node.outputs) else None

    def _resume_served_before(self) -> None:
        """Leave generators and settings as the nodes before did that were served."""
        for peer in self.peers.values():
            if peer is self:
                break
            if peer._served is not None:
                peer._state.resume(peer._served)

    def _recalled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function of a node that is served, for outputs that are recipes."""
        bypass_what_was_changed(self, code_with_sources(reached(self.node), self.inputs, now=True))
        try:
            result = self.call.whole(*args, **kwargs)
        except BaseException as error:
            self.failed(error)
            raise
        lazy = (name for name, output in self.outputs.items() if output.is_lazy)
        self.run.put_load(next(lazy, self.node.outputs[0]), self.call.seconds)
        return result

    def recipe(self, name: str, value: Any) -> Blob | str:
        """What stands for an output of which there are no bytes, or why nothing does."""
        if self.identity is None or self._key is None:
            return ""
        if self._state.draws:
            return "it draws random numbers, so another call would give another value"
        reason = why_no_recipe(value, self.node, self.identity)
        key = self._state.key_of_record(self._key)
        return reason or recipe_of(key, self.node.outputs.index(name))

    def rebuild(self, name: str) -> None:
        """Compute an output again that somebody needs, and what comes with it."""
        if not self._is_recipe(name):
            for output, value in self._computed_again().items():
                self.catalog.save(output, value)
            return
        with self._rebuilding:
            if self.outputs[name].is_held:
                return
            inputs = {name: self.catalog.load(name) for name in self.inputs}
            for output, value in copy_node(self.node).run(inputs).items():
                if self._is_recipe(output):
                    self.outputs[output].hold(value)

    def _is_recipe(self, name: str) -> bool:
        output = self.outputs[name].output
        return output is not None and output.blob.is_recipe

    def deliver(self) -> Any:
        """The outputs of the record, as the function would return them, for Kedro to save."""
        assert self._served is not None
        try:
            values = self._loaded(self._served)
        except CacheMiss as miss:
            logger.warning("%s is computed again: %s", self.node.name, miss)
            values = self._computed_again()
        return in_output_structure(self.node, values)

    def _computed_again(self) -> dict[str, Any]:
        # Of several outputs that are not made alike twice, none may stay from the record.
        for output in self.outputs.values():
            output.promise(None)
        inputs = {name: self.catalog.load(name) for name in self.inputs}
        self._key, self._served, self._saved, self._finished = self.key(), None, {}, False
        return dict(copy_node(self.node, func=self.call.whole).run(inputs))

    def saved(self, name: str, output: Output | None) -> None:
        """An output has been saved; with the last one the node is done."""
        with self._lock:
            if self._finished:
                return
            if output is not None:
                self._saved[name] = output
                self.call.seconds += output.blob.seconds
            else:
                self.bypass(f"output '{name}' cannot be stored{self.outputs[name].unstorable}")
                self._saved[name] = Output(Blob("", 0, 0.0), scratch=True)
            if len(self._saved) < len(self.node.outputs):
                return
            self._finished = True
        if self._served is None:
            self._record()
            self.tell(NodeState.RAN)
        elif self._has_new_files() and not self._is_in_doubt():
            self._commit_files(self._served)
            self.tell(NodeState.REUSED, record=self._served)  # with the bytes that it has kept
        self._lease.close()
        if self._on_finished is not None:
            self._on_finished(self.outputs)

    def failed(self, error: BaseException) -> None:
        """The node raised, or one of its outputs could not be saved."""
        if isinstance(error, Pruned):
            self.tell(NodeState.STOPPED, error=str(error))
        else:
            self.tell(NodeState.FAILED, error=error_text(error))
        self._lease.close()

    def close(self) -> None:
        """Give the lease up, whatever happened."""
        self._lease.close()
        for output in self.outputs.values():
            output.drop_new_files()

    def _execute(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        before = self._begin()
        try:
            result = self.call.stoppable(*args, **kwargs)
        except BaseException as error:
            if isinstance(error, Pruned):  # as often as not, and it has left things behind, too
                self._end(before)
            self.failed(error)
            raise
        self._end(before)
        if not self.node.outputs:
            self.tell(NodeState.RAN)
        return result

    def _begin(self) -> CodeIdentity | None:
        """Take note of what there is before the function runs; returns what it reaches."""
        self.tell(NodeState.RUNNING)
        before = code_with_sources(reached(self.node), self.inputs, now=True)
        bypass_what_was_changed(self, before)
        self._state.begin()
        return before

    def _end(self, before: CodeIdentity | None) -> None:
        """Note what the node left in the process; what cannot be left again is never recorded."""
        changes = self._state.end()
        if changes and len(self.peers) != 1:  # there are none in a process of its own
            self.bypass(f"it changes {changes}, which nodes after it see")
            self._state.warn_of_what_stays()
        after = code_with_sources(reached(self.node), self.inputs, now=True)
        bypass_what_shares_state(self, self.peers.values(), before, after)
        bypass_what_shares_inputs(self, self.peers.values())
        if self.identity is not None and after is not None:
            self.call.found.inherit(after.keepers)
            opened, identity = self._files_opened(self.identity), self.identity
            imported = self.call.found.modules(identity.project, identity.code.parts)
            self._unseen = in_words(opened.unseen, imported)
            bypass_what_shares_files(self, self.peers, opened, self._doubts)
            warn_of_unseen(self.node.name, self._unseen)

    def _files_opened(self, identity: Identity) -> Opened:
        """The files that the function has opened by itself; they are part of its state."""
        others = {name: peer.call for name, peer in self.peers.items() if peer is not self}
        calls = {name: Call(*call.times, call.found.written) for name, call in others.items()}
        opened = self.call.found.files(
            identity.project,
            (*identity.files, str(self.store.root)),
            outputs=identity.outputs,
            times=Times(self._planned, self.call.times[0], calls),
            are_noted=lambda names: noted_files(self.store, names),
        )
        self._state.files = dict(opened.parts)
        note_files(self.store, self.node.name, opened.by_nodes)
        return opened

    @property
    def is_decided(self) -> bool:
        """Whether the node was served, or looked up its key: what it reads is then settled."""
        return bool(self._key or self._served)

    def reachable(self, candidates: set[str]) -> set[str]:
        """Which of these names the node's code reaches; all if that is unknown."""
        code = self.identity.code if self.identity else reached(self.node)
        code = code_with_sources(code, self.inputs, now=False)
        return candidates if code is None else candidates & names(code)

    def _served_late(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The outputs of a record that could not be planned, in the shape the function has."""
        record = None if self._key is None else self._state.find_now(self.store, self._key)
        if record is None or len(record.outputs) != len(self.node.outputs):
            return None
        outputs = zip(self.outputs.values(), record.outputs, strict=True)
        recalled = any(blob.is_recipe and not output.has_files(blob) for output, blob in outputs)
        self._promise(record)
        try:
            is_whole = recalled and all(map(self.store.has, record.outputs))
            values = {} if is_whole else self._loaded(record)
        except CacheMiss:
            for output in self.outputs.values():
                output.promise(None)
            return None
        self._served, self._key = record, record.key
        warn_of_unseen(self.node.name, record.meta.get("unseen", ""))
        self.tell(NodeState.REUSED, record=record)
        self._state.resume(record)
        return self._recalled(args, kwargs) if recalled else in_output_structure(self.node, values)

    def _loaded(self, record: Record) -> dict[str, Any]:
        outputs = zip(self.node.outputs, record.outputs, strict=True)
        return {name: self.outputs[name].content_of(blob) for name, blob in outputs}

    def _promise(self, record: Record) -> None:
        for output, blob in zip(self.outputs.values(), record.outputs, strict=True):
            output.promise(blob)

    def _record(self) -> None:
        """Write the record, unless there is a doubt about what the outputs were made from."""
        is_partial = any(output.scratch for output in self._saved.values())
        if self._key is None or self.identity is None or is_partial or self._is_in_doubt():
            return
        blobs = [self._saved[name].blob for name in self.node.outputs]
        meta = record_meta(self.node, self.identity, self.meta, self.call, blobs, self._all_parts())
        meta |= self._state.meta() | ({"unseen": self._unseen} if self._unseen else {})
        key = self._state.key_of_record(self._key)
        if key != self._key and (parts := self._state.key_meta()):  # to be looked for by its state
            put_record(self.store, self._key, (), {**self.meta, **parts})
        self._key = key
        if record := put_record(self.store, key, blobs, meta):
            self._commit_files(record)

    def _is_in_doubt(self) -> bool:
        """Whether outputs may be made from other data than the key says; their readers are told."""
        moved = self._served is None and self._has_new_files() and self._state.has_moved()
        is_in_doubt = moved or warn_of_changes(self.node.name, self.identity, self.inputs)
        if is_in_doubt:
            disown(self.run, self.outputs)
        return is_in_doubt

    def _has_new_files(self) -> bool:
        return self.identity is not None and any(o.has_new_files for o in self.outputs.values())

    def _commit_files(self, record: Record) -> None:
        """Make the files that were written of lazy outputs part of the cache."""
        for output, blob in zip(self.outputs.values(), record.outputs, strict=True):
            self._kept += output.commit_files(blob, record)

    def tell(self, status: str, record: Record | None = None, error: str = "") -> None:
        names = self.node.outputs if self._finished else ()
        event = node_event(
            status,
            call=self.call,
            key=self._key,
            parts={} if status == NodeState.RUNNING else self._all_parts(),
            meta=self.meta,
            record=record,
            outputs=[self._saved[name].blob for name in names],
            why_not=self.why_not,
            error=error,
            kept=self._kept,
        )
        self.run.put_node(self.node.name, event)
