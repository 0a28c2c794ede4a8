"""What stands in for the nodes' functions and the catalog's datasets during one run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, CatalogProtocol, MemoryDataset
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from kedro_eeipu._kedro import location, strip_transcoding, wrapped_dataset
from kedro_eeipu.cache.identity.canonical import Unidentifiable, combine
from kedro_eeipu.cache.store.store import Store
from kedro_eeipu.config.settings import CacheSettings
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks.action import NodeAction
from kedro_eeipu.hooks.data_hooks import DataHooks
from kedro_eeipu.hooks.dataset import MemoizedDataset, warn_once
from kedro_eeipu.hooks.declared import (
    adds_to_what_is_there,
    changes_content,
    file_config,
    is_persistent,
    private_copy,
    shares_value,
)
from kedro_eeipu.hooks.doubts import Doubt, Doubts
from kedro_eeipu.hooks.inputs import dataset_identity
from kedro_eeipu.hooks.kept_files import KeptFiles
from kedro_eeipu.hooks.key import Identity, identify
from kedro_eeipu.hooks.process_state import CarriedState
from kedro_eeipu.hooks.pruning import Gate
from kedro_eeipu.hooks.run_directory import RunDirectory
from kedro_eeipu.hooks.streams import StreamAction, StreamedDataset
from kedro_eeipu.hooks.transcoded import TranscodedDataset
from kedro_eeipu.hooks.units import UnitAction, latest_of
from kedro_eeipu.hooks.world import World

__all__ = ["StandIns"]


class StandIns:
    """Makes the actions and datasets of a run, node by node, each complete when it is made.

    Args:
        pipeline: The nodes of the run.
        catalog: The catalog of the run; it is only read.
        run: The directory of the run.
        store: The shared store.
        settings: What ``eeipu.yml`` says about the cache.
        project: Where relative paths in the settings start.
        world: What nodes could depend on, ``None`` where that is not known.
        write_through: Whether outputs are also written where the user's catalog declares them.
        meta: What new records say about this run.
        gate: Ends the run early when what it reports on the way is not good enough.
        manager: Pluggy's manager of the hooks that other plugins and the project have.
        carried: What the nodes of the run leave in the process for each other.

    Attributes:
        actions: The action of every node added, by node name.
        datasets: What the catalog has for every dataset that they produce.
        streamed: What it has for the outputs of generators that are never cached.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        run: RunDirectory,
        *,
        store: Store,
        settings: CacheSettings,
        project: Path,
        world: World | None,
        write_through: bool,
        meta: Mapping[str, Any],
        gate: Gate | None,
        manager: Any,
        carried: CarriedState | None,
    ) -> None:
        self.actions: dict[str, NodeAction] = {}
        self.datasets: dict[str, MemoizedDataset] = {}
        self.streamed: dict[str, AbstractDataset[Any, Any]] = {}
        self._catalog = catalog
        self._run = run
        self._store = store
        self._settings = settings
        self._project = project
        self._world = world
        self._doubts = Doubts(store, settings)
        self._write_through = write_through
        made_in = {} if world is None else {"world": world.digest, "place": world.place}
        self._meta = {**meta, **made_in}
        self._gate = gate
        self._manager = manager
        self._carried = carried
        # Asked of the pipeline once: each answer walks through all nodes.
        self._read = {strip_transcoding(name) for name in pipeline.all_inputs()}
        self._producers = {strip_transcoding(name): name for name in pipeline.all_outputs()}

    def add(self, node: Node) -> NodeAction:
        """Make the stand-ins of a node; those of the nodes that it depends on are there.

        Raises:
            ConfigurationError: Trials could not pass a dataset on without writing over the user's.
        """
        inputs = {name: self._input(name) for name in node.inputs}
        outputs: dict[str, Callable[..., MemoizedDataset]] = {}
        doubt = self._doubts.of(node)
        identity, why_not = self._identity(node, inputs, doubt)
        streams = inspect.isgeneratorfunction(node.func)
        if streams and identity is not None:
            outputs, why_not = self._kept_streams(node, doubt)
            identity = None if why_not else identity
        if streams and identity is None:
            for name in node.outputs:
                self.streamed[name] = self._stream(name)
        elif not streams:
            declared = {name: self._declared_output(name) for name in node.outputs}
            kind_tokens: dict[str, str | None] = dict.fromkeys(declared, "")
            for name, dataset in declared.items():
                # Of a node that is never cached, too: its consumers may be, and what they see
                # counts.
                if dataset is not None and changes_content(dataset):
                    try:
                        kind_tokens[name] = dataset_identity(dataset)
                    except Unidentifiable as reason:
                        kind_tokens[name], identity, why_not = None, None, str(reason)
            outputs = {
                name: partial(
                    MemoizedDataset,
                    name,
                    self._store,
                    self._run,
                    dataset,
                    write_through=self._write_through,
                    kind_token=kind_tokens[name],
                    stored=identity is not None,
                    lies_in_file=is_persistent(self._declared(name)),
                    files=self._files(name, dataset, kind_tokens[name]),
                    metadata=getattr(self._declared(name), "metadata", None),
                )
                for name, dataset in declared.items()
            }
        kind = UnitAction if doubt and doubt.unit else NodeAction
        action = (StreamAction if streams else kind)(
            node,
            identity,
            inputs,
            outputs,
            self._catalog,
            self._store,
            self._run,
            peers=self.actions,
            doubts=self._doubts,
            why_not=why_not,
            meta=self._meta,
            carried=self._carried,
            thresholds=None if self._gate is None else self._gate.thresholds(node.name),
            on_finished=self._check(node),
        )
        if doubt and isinstance(action, UnitAction):
            action.unit, action.after = doubt.unit, latest_of(doubt.unit, self.actions)
        self.actions[node.name] = action
        self.datasets.update(action.outputs)
        return action

    def _identity(
        self, node: Node, inputs: Mapping[str, AbstractDataset[Any, Any]], doubt: Doubt | None
    ) -> tuple[Identity | None, str | None]:
        """What is known about the node's key, or why it is never cached."""
        free = {n: d for n, d in inputs.items() if n not in self.datasets}
        try:
            for name in free:
                if name in self.streamed:
                    raise Unidentifiable(f"its input '{name}' is made by a generator")
            for name in (*node.inputs, *node.outputs):
                if shares_value(self._declared(name)):
                    raise Unidentifiable(f"'{name}' is passed on without a copy: copy_mode assign")
            identity = identify(
                node, free, self._catalog, self._settings, self._project, self._hooks
            )
            if doubt and doubt.never:
                raise Unidentifiable(doubt.reason)
            if doubt and not doubt.unit:
                if self._world is None:
                    raise Unidentifiable(doubt.reason)
                identity = replace(identity, world=self._world.whole)
            identity = replace(identity, outputs=self._places)
        except Unidentifiable as reason:
            return None, str(reason)
        return identity, None

    @functools.cached_property
    def _places(self) -> tuple[str, ...]:
        """Where the catalog says that outputs lie; a trial saves them elsewhere."""
        declared = map(wrapped_dataset, map(self._declared, self._producers.values()))
        return tuple(filter(None, map(location, declared)))

    @functools.cached_property
    def _hooks(self) -> DataHooks:
        return DataHooks(self._manager, self._catalog)

    def _check(self, node: Node) -> Callable[[Mapping[str, MemoizedDataset]], None] | None:
        """What holds the values that a node reports against those of earlier trials."""
        steps = () if self._gate is None else self._gate.steps(node.outputs)
        return partial(self._gate.check, steps) if self._gate is not None and steps else None

    def _declared(self, name: str) -> AbstractDataset[Any, Any]:
        if name not in self._catalog:  # the catalog would take long to make it
            return MemoryDataset()
        dataset = self._catalog.get(name, fallback_to_runtime_pattern=True)
        return MemoryDataset() if dataset is None else dataset

    def _declared_output(self, name: str) -> AbstractDataset[Any, Any] | None:
        # What nobody reads back need not make the trip through its file.
        if strip_transcoding(name) not in self._read and not self._write_through:
            return None
        declared = self._declared(name)
        if adds_to_what_is_there(declared) and not self._write_through:
            warn_once(
                "%s %s: a plain run also hands on what earlier runs have left there, a trial only"
                " what its node has returned",
                name,
                "adds to its file",
            )
        return declared

    def _files(
        self, name: str, declared: AbstractDataset[Any, Any] | None, kind_token: str | None
    ) -> KeptFiles | None:
        """Where a lazy value of a declared dataset is kept, ``None`` where that cannot be."""
        if self._write_through or not kind_token or file_config(declared) is None:
            return None
        if declared is None or not self._store.folders.are_possible:
            return None
        return KeptFiles(name, self._store, declared, kind_token, self._run.owner)

    def _input(self, name: str) -> AbstractDataset[Any, Any]:
        """What a node loads: produced by the run, read as another kind, or from outside."""
        produced = self.datasets.get(name) or self.streamed.get(name)
        if produced is not None:
            return produced
        declared = self._declared(name)
        source = self._producers.get(strip_transcoding(name))
        if is_parameter(name) or source is None:
            return declared
        config = file_config(declared)
        if source in self.streamed:
            if config is None or self._write_through:
                self.streamed[name] = declared
            else:
                self.streamed[name] = private_copy(config, name, _path(self.streamed[source]))
            return self.streamed[name]
        written = self.datasets[source].declared
        if written is None or file_config(written) is None or config is None:
            raise ConfigurationError(
                f"'{source}' and '{name}' are one dataset, and not both are in a file, so a trial "
                "cannot pass it on without overwriting yours",
                where="catalog.yml",
                remedy="Declare both with a filepath, or tune a pipeline without them.",
            )
        kind_token = combine(written=dataset_identity(written), read=dataset_identity(declared))
        self.datasets[name] = TranscodedDataset(name, self.datasets[source], declared, kind_token)
        return self.datasets[name]

    def _kept_streams(
        self, node: Node, doubt: Doubt | None
    ) -> tuple[dict[str, Callable[..., MemoizedDataset]], str | None]:
        """Makers of the outputs of a generator, or why what it yields is not kept."""
        outputs: dict[str, Callable[..., MemoizedDataset]] = {}
        if self._write_through:
            return {}, "it is a generator, and this is a plain run"
        if doubt and doubt.unit:
            return {}, doubt.reason
        for name in node.outputs:
            declared = self._declared(name)
            if file_config(declared) is None:
                return {}, (
                    f"it is a generator; declare '{name}' in the catalog as a dataset that lies in "
                    "files, and what it yields is kept"
                )
            try:
                kind_token = dataset_identity(declared)
            except Unidentifiable as reason:
                return {}, str(reason)
            files = self._files(name, declared, kind_token)
            if files is None:
                return {}, (
                    "it is a generator; what it yields is kept where the cache lies in a folder of "
                    "yours (cache.root)"
                )
            outputs[name] = partial(
                StreamedDataset,
                name,
                self._store,
                self._run,
                declared,
                kind_token=kind_token,
                lies_in_file=True,
                files=files,
            )
        return outputs, None

    def _stream(self, name: str) -> AbstractDataset[Any, Any]:
        """Where the chunks of a generator go: each is saved by itself, so no record is made.

        Raises:
            ConfigurationError: They would go to a place of the user's that is not a file.
        """
        declared = self._declared(name)
        if self._write_through or not is_persistent(declared):
            return declared
        config = file_config(declared)
        if config is None:
            raise ConfigurationError(
                f"a generator writes '{name}', which does not lie in a file, so a trial would "
                "write over yours",
                where="catalog.yml",
                remedy="Declare it with a filepath, or tune a pipeline without it.",
            )
        return private_copy(config, name, self._run.private_path(name, config))


def _path(dataset: AbstractDataset[Any, Any]) -> str:
    config = file_config(dataset) or {}
    return str(config.get("filepath", config.get("path")))
