"""Plan a run against the cache: which nodes are served and which must be called."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
from kedro.io import AbstractDataset, CatalogProtocol, MemoryDataset
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from kedro_eeipu.cache.identity.canonical import Unidentifiable, combine
from kedro_eeipu.cache.identity.code import code_identity
from kedro_eeipu.cache.identity.contents import content_token
from kedro_eeipu.cache.identity.fingerprint import fingerprint
from kedro_eeipu.cache.store.store import Record, Store
from kedro_eeipu.config.settings import CacheSettings
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks.action import Identity, NodeAction, deliver, stream
from kedro_eeipu.hooks.dataset import (
    MemoizedDataset,
    TranscodedDataset,
    changes_content,
    file_config,
    is_persistent,
    private_copy,
    shares_value,
)
from kedro_eeipu.hooks.inputs import dataset_identity, free_input, validators_token
from kedro_eeipu.hooks.run_directory import RunDirectory

NO_CACHE_TAG = "eeipu.no-cache"


@dataclass
class RunPlan:
    """What a run will do.

    Attributes:
        actions: The action of every node, by node name, in the order in which they run.
        reused: Names of the nodes that are served from the cache without being called.
        datasets: What stands in the catalog for every produced dataset.
        streamed: What stands there for the outputs of generators, which are never cached.
        run: The run's directory.
    """

    actions: dict[str, NodeAction]
    datasets: dict[str, MemoizedDataset]
    run: RunDirectory
    reused: set[str] = field(default_factory=set)
    streamed: dict[str, AbstractDataset] = field(default_factory=dict)

    def nodes_to_run(self) -> list[Node]:
        """Copies of the nodes that Kedro must call, with their actions for functions."""
        with warnings.catch_warnings():
            # Kedro warns of a dotted dataset name whenever such a node is made.
            warnings.simplefilter("ignore", UserWarning)
            return [
                _delivering(action) if name in self.reused else _calling(action)
                for name, action in self.actions.items()
                if name not in self.reused or self.delivers(name)
            ]

    def delivers(self, name: str) -> bool:
        """Whether a node's outputs must be saved even when it is served from the cache."""
        return any(output.delivers for output in self.actions[name].outputs.values())

    def close(self) -> None:
        """Give up all leases of this process."""
        for action in self.actions.values():
            action.close()


class Planner:
    """Plans runs of one project against one store.

    Args:
        store: The shared store.
        settings: What ``eeipu.yml`` says of the cache.
        project: Where relative paths in the settings start.
    """

    def __init__(self, store: Store, settings: CacheSettings, project: Path) -> None:
        self.store = store
        self.settings = settings
        self.project = project

    def plan(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol,
        run: RunDirectory,
        *,
        write_through: bool = False,
        meta: Mapping[str, Any] | None = None,
    ) -> RunPlan:
        """Decide for every node whether it is served or called.

        A node is served when its record exists, and the content of every output that somebody
        will read is really there. Whose inputs are made in this very run cannot be decided yet:
        it is called, and looks again once they are known.

        Args:
            pipeline: The nodes of the run.
            catalog: The catalog of the run; it is only read.
            run: The directory of the run.
            write_through: Whether outputs are also written where the user's catalog declares them.
            meta: What new records say of this run.
        """
        plan = RunPlan({}, {}, run)
        records: dict[str, Record] = {}
        for node in pipeline.nodes:
            action = self._action(node, pipeline, catalog, plan, write_through, meta)
            plan.actions[node.name] = action
            key = action.key()
            record = None if key is None else self.store.get(key)
            if record is not None and len(record.outputs) == len(node.outputs):
                records[node.name] = record
                # Known from the record alone: whether the content is there is asked when needed.
                for name, blob in zip(node.outputs, record.outputs, strict=True):
                    plan.datasets[name].promise(blob)
        plan.reused = self._served(pipeline, plan, records)
        for name, action in plan.actions.items():
            if name in plan.reused:
                action.serve(records[name])
            else:
                for output in action.outputs.values():
                    output.promise(None)
        return plan

    def identify(
        self, node: Node, inputs: Mapping[str, AbstractDataset], catalog: CatalogProtocol
    ) -> Identity:
        """What can be known of a node's key before the run.

        Args:
            node: The node.
            inputs: Its parameters and free inputs, by name.
            catalog: The catalog of the run.

        Raises:
            Unidentifiable: The node is never cached; the reason says why.
        """
        why_not = static_reason(node, self.settings)
        if why_not:
            raise Unidentifiable(why_not)
        tokens, current = {}, {}
        for name, dataset in inputs.items():
            if is_parameter(name):
                tokens[name] = fingerprint(dataset.load())
            else:
                tokens[name], again = free_input(name, dataset, self.settings.inputs)
                if again is not None:
                    current[name] = again
        return Identity(
            code_identity(node.func),
            tokens,
            current,
            self._extra(node),
            validators_token(node, catalog),
        )

    def _action(
        self,
        node: Node,
        pipeline: Pipeline,
        catalog: CatalogProtocol,
        plan: RunPlan,
        write_through: bool,
        meta: Mapping[str, Any] | None,
    ) -> NodeAction:
        inputs = {
            name: self._input(name, catalog, plan, pipeline, write_through) for name in node.inputs
        }
        own = {n: d for n, d in inputs.items() if n not in plan.datasets}
        identity, why_not = None, None
        outputs: dict[str, MemoizedDataset] = {}
        if inspect.isgeneratorfunction(node.func):
            for name in node.outputs:
                plan.streamed[name] = _streamed(name, _dataset(catalog, name), plan, write_through)
        else:
            outputs = {
                name: self._output(name, catalog, plan, pipeline, write_through)
                for name in node.outputs
            }
        try:
            for name in own:
                if name in plan.streamed:
                    raise Unidentifiable(f"its input '{name}' is made by a generator")
            for name in (*node.inputs, *node.outputs):
                if shares_value(_dataset(catalog, name)):
                    raise Unidentifiable(f"'{name}' is handed on without a copy: copy_mode assign")
            identity = self.identify(node, own, catalog)
        except Unidentifiable as reason:
            identity, why_not = None, str(reason)
        for output in outputs.values():
            # Of a node that is never cached too: its consumers may be, and what they see counts.
            if changes_content(output.declared):
                assert output.declared is not None
                try:
                    output.seen_as = dataset_identity(output.declared)
                except Unidentifiable as reason:
                    output.seen_as, identity, why_not = None, None, str(reason)
        plan.datasets.update(outputs)
        action = NodeAction(
            node, identity, inputs, outputs, catalog, self.store, plan.run, why_not, meta
        )
        action.others = plan.actions
        for output in outputs.values():
            output.record, output.rebuild = action.saved, action.rebuild
            output.stored = identity is not None
        return action

    def _output(
        self,
        name: str,
        catalog: CatalogProtocol,
        plan: RunPlan,
        pipeline: Pipeline,
        write_through: bool,
    ) -> MemoizedDataset:
        # What nobody reads back need not make the trip through its file.
        read = _base(name) in {_base(n) for n in pipeline.all_inputs()}
        declared = _dataset(catalog, name) if read or write_through else None
        return MemoizedDataset(name, self.store, plan.run, declared, write_through=write_through)

    def _input(
        self,
        name: str,
        catalog: CatalogProtocol,
        plan: RunPlan,
        pipeline: Pipeline,
        write_through: bool,
    ) -> AbstractDataset:
        """What a node loads: produced by the run, read as another kind, or from outside."""
        made = plan.datasets.get(name) or plan.streamed.get(name)
        if made is not None:
            return made
        declared = _dataset(catalog, name)
        sources = [n for n in pipeline.all_outputs() if _base(n) == _base(name)]
        if is_parameter(name) or not sources:
            return declared
        source = sources[0]
        config = file_config(declared)
        if source in plan.streamed:
            if config is None or write_through:
                plan.streamed[name] = declared
            else:
                plan.streamed[name] = private_copy(config, name, _path(plan.streamed[source]))
            return plan.streamed[name]
        written = plan.datasets[source].declared
        if written is None or file_config(written) is None or config is None:
            raise ConfigurationError(
                f"'{source}' and '{name}' are one dataset, and not both lie in a file, so a trial "
                "cannot pass it on without writing over yours",
                where="catalog.yml",
                remedy="Declare both with a filepath, or tune a pipeline without them.",
            )
        seen_as = combine(written=dataset_identity(written), read=dataset_identity(declared))
        plan.datasets[name] = TranscodedDataset(name, plan.datasets[source], declared, seen_as)
        return plan.datasets[name]

    def _served(self, pipeline: Pipeline, plan: RunPlan, records: Mapping[str, Record]) -> set[str]:
        """Nodes with a record whose outputs, as far as anybody needs them, are there.

        Walked from the end: what is needed depends only on the nodes after.
        """
        children: dict[str, set[str]] = {n.name: set() for n in pipeline.nodes}
        for child, parents in pipeline.node_dependencies.items():
            for parent in parents:
                children[parent.name].add(child.name)
        served: set[str] = set()
        for node in reversed(pipeline.nodes):
            record = records.get(node.name)
            if record is None:
                continue
            read = not children[node.name] or not children[node.name] <= served
            if not (read or plan.delivers(node.name)) or all(
                self.store.has(blob) for blob in record.outputs
            ):
                served.add(node.name)
        return served

    def _extra(self, node: Node) -> str:
        said = self.settings.of_node(node.name)
        if not said.version and not said.depends_on:
            return ""
        local = fsspec.filesystem("file")
        watched = {
            d: os.environ.get(d[1:], "")
            if d.startswith("$")
            else content_token(local, str(self.project / d))
            for d in said.depends_on
        }
        return combine(version=said.version, watched=watched)


def static_reason(node: Node, settings: CacheSettings) -> str | None:
    """Why a node is never cached, as far as the node itself tells."""
    if not node.outputs:
        return "it has no outputs, so it is run for its side effects"
    if node.confirms:
        return "it confirms a dataset"
    if inspect.isgeneratorfunction(node.func):
        return "it is a generator"
    if NO_CACHE_TAG in node.tags:
        return f"it is tagged {NO_CACHE_TAG}"
    if not settings.of_node(node.name).cache:
        return "eeipu.yml says cache: false"
    return None


def _calling(action: NodeAction) -> Node:
    streams = inspect.isgeneratorfunction(action.node.func)
    return action.node._copy(func=_named(partial(stream, action), action) if streams else action)


def _delivering(action: NodeAction) -> Node:
    """A node that saves what is served; its parameters stay, for plugins that log them."""
    parameters = [name for name in action.node.inputs if is_parameter(name)]
    func = _named(partial(deliver, action), action)
    return action.node._copy(func=func, inputs=parameters or None)


def _named(func: Any, action: NodeAction) -> Any:
    func.__name__ = action.__name__  # from which Kedro names a node that the user did not name
    return func


def _streamed(
    name: str, declared: AbstractDataset, plan: RunPlan, write_through: bool
) -> AbstractDataset:
    """Where the chunks of a generator go: each is saved by itself, so no record is made.

    Raises:
        ConfigurationError: They would go to a place of the user's that is not a file.
    """
    if write_through or not is_persistent(declared):
        return declared
    config = file_config(declared)
    if config is None:
        raise ConfigurationError(
            f"a generator writes '{name}', which does not lie in a file, so a trial would write "
            "over yours",
            where="catalog.yml",
            remedy="Declare it with a filepath, or tune a pipeline without it.",
        )
    return private_copy(config, name, plan.run.private_path(name, config))


def _path(dataset: AbstractDataset) -> str:
    config = file_config(dataset) or {}
    return str(config.get("filepath", config.get("path")))


def _base(name: str) -> str:
    """The name of a dataset without its transcoding."""
    return name.partition("@")[0]


def _dataset(catalog: CatalogProtocol, name: str) -> AbstractDataset:
    dataset = catalog.get(name, fallback_to_runtime_pattern=True)
    return MemoryDataset() if dataset is None else dataset
