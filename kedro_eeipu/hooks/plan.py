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

from kedro_eeipu.cache.code import Unidentifiable, code_identity
from kedro_eeipu.cache.dataset import MemoizedDataset, file_config
from kedro_eeipu.cache.fingerprint import combine, content_token, fingerprint
from kedro_eeipu.cache.run_directory import RunDirectory
from kedro_eeipu.cache.store import Record, Store
from kedro_eeipu.hooks.action import Identity, NodeAction, stream
from kedro_eeipu.hooks.inputs import dataset_identity, free_input
from kedro_eeipu.settings import CacheSettings

NO_CACHE_TAG = "eeipu.no-cache"


@dataclass
class RunPlan:
    """What a run will do.

    Attributes:
        actions: The action of every node, by node name, in the order in which they run.
        reused: Names of the nodes that are served from the cache without being called.
        datasets: What stands in the catalog for every produced dataset.
        run: The run's directory.
    """

    actions: dict[str, NodeAction]
    datasets: dict[str, MemoizedDataset]
    run: RunDirectory
    reused: set[str] = field(default_factory=set)

    def nodes_to_run(self) -> list[Node]:
        """Copies of the nodes that must be called, with their actions for functions."""
        with warnings.catch_warnings():
            # Kedro warns of a dotted dataset name whenever such a node is made.
            warnings.simplefilter("ignore", UserWarning)
            return [
                action.node._copy(func=_callable(action))
                for name, action in self.actions.items()
                if name not in self.reused
            ]

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
        plan.reused = self._served(pipeline, records)
        for name, action in plan.actions.items():
            if name in plan.reused:
                action.serve(records[name])
            else:
                for output in action.outputs.values():
                    output.promise(None)
        return plan

    def identify(self, node: Node, inputs: Mapping[str, AbstractDataset]) -> Identity:
        """What can be known of a node's key before the run.

        Args:
            node: The node.
            inputs: Its parameters and free inputs, by name.

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
        return Identity(code_identity(node.func), tokens, current, self._extra(node))

    def _action(
        self,
        node: Node,
        pipeline: Pipeline,
        catalog: CatalogProtocol,
        plan: RunPlan,
        write_through: bool,
        meta: Mapping[str, Any] | None,
    ) -> NodeAction:
        inputs = {name: plan.datasets.get(name) or _dataset(catalog, name) for name in node.inputs}
        own = {n: d for n, d in inputs.items() if n not in plan.datasets}
        identity, why_not = None, None
        try:
            identity = self.identify(node, own)
        except Unidentifiable as reason:
            why_not = str(reason)
        consumed = pipeline.all_inputs()
        outputs = {}
        for name in node.outputs:
            declared = _dataset(catalog, name)
            seen_as = ""
            if file_config(declared) is not None and name in consumed:
                try:
                    seen_as = dataset_identity(declared)
                except Unidentifiable as reason:
                    identity, why_not = None, str(reason)
            # Nobody reads it back, so it need not make the trip through its file.
            kept = declared if name in consumed or write_through else None
            outputs[name] = MemoizedDataset(
                name, self.store, plan.run, kept, write_through=write_through, seen_as=seen_as
            )
        plan.datasets.update(outputs)
        action = NodeAction(node, identity, inputs, outputs, self.store, plan.run, why_not, meta)
        for dataset in outputs.values():
            dataset.record, dataset.rebuild = action.saved, action.rebuild
            dataset.stored = identity is not None
        return action

    def _served(self, pipeline: Pipeline, records: Mapping[str, Record]) -> set[str]:
        """Nodes with a record whose outputs, as far as anybody reads them, are there.

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
            unread = children[node.name] and children[node.name] <= served
            if unread or all(self.store.has(blob) for blob in record.outputs):
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


def _callable(action: NodeAction) -> Any:
    return partial(stream, action) if inspect.isgeneratorfunction(action.node.func) else action


def _dataset(catalog: CatalogProtocol, name: str) -> AbstractDataset:
    dataset = catalog.get(name, fallback_to_runtime_pattern=True)
    return MemoryDataset() if dataset is None else dataset
