"""A run as Kedro itself does it, which writes none of the user's files and leaves out the cache.

It is what a trial is compared with: nodes get what the nodes before them returned, by Kedro's own
datasets, and nothing is looked up.
"""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from kedro_eeipu._kedro import (
    copy_node,
    keep_nodes,
    pipeline_in_order,
    replace_content,
    replace_dataset,
    strip_transcoding,
)
from kedro_eeipu.cache.identity.canonical import combine
from kedro_eeipu.cache.store.store import Blob, CacheMiss, Store, Unstorable
from kedro_eeipu.errors import ObjectiveError
from kedro_eeipu.hooks.declared import changes_content
from kedro_eeipu.hooks.mlflow import MlflowRun
from kedro_eeipu.hooks.process_state import ProcessState
from kedro_eeipu.hooks.redirecting import redirect
from kedro_eeipu.hooks.same_value import same_value
from kedro_eeipu.search import Objective

__all__ = ["FreshRun"]


@dataclass
class FreshRun:
    """A run without the cache.

    Attributes:
        run_id: Kedro's id of the run.
        folder: Where its declared outputs go.
        store: The cache, which gets copies of them.
        objective: Where its value is.
        expected: What the nodes returned in the trial, by node, in the order of their outputs.
        nodes: Names of the nodes that run, ``None`` for all.
        start: The state of the process in which it begins.
        mlflow: What MLflow is told about it.
        keeps: Whether its declared outputs go into the cache.
        watched: Name of a node whose outputs go into the folder.
        began: Whether Kedro has started it.
        value: Its objective, ``None`` if there is none.
        problem: Why there is none.
        node: Name of the node that ran last.
        seconds: Of each node.
        differing: Names of nodes that returned another value than in the trial.
        kept: Which of the declared outputs are in the cache, by dataset.
        in_memory: Declared outputs without a path.
        returned: What the watched node returned, in the store `scratch`.
    """

    run_id: str
    folder: Path
    store: Store
    objective: Objective
    expected: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    nodes: Collection[str] | None = None
    start: ProcessState | None = None
    mlflow: MlflowRun | None = None
    keeps: bool = True
    watched: str = ""
    began: bool = False
    value: float | None = None
    problem: str = ""
    node: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    kept: dict[str, Blob] = field(default_factory=dict)
    in_memory: list[str] = field(default_factory=list)
    returned: list[Blob] = field(default_factory=list)
    plan: None = None
    _made_by: dict[str, list[str]] = field(default_factory=dict)
    _persistent: set[str] = field(default_factory=set)
    _read_back: bool = False
    _started: float = 0.0
    _pipeline: Pipeline | None = None
    _whole: dict[str, Any] = field(default_factory=dict)
    _catalog: CatalogProtocol[Any, Any] | None = None
    _manager: Any = None

    @cached_property
    def scratch(self) -> Store:
        """A store that goes with the folder."""
        return Store(str(self.folder / "scratch"))

    def begin(
        self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], manager: Any = None
    ) -> None:
        """Leave out what is not to run, and put private datasets into the catalog.

        Args:
            pipeline: What Kedro is about to run.
            catalog: The catalog of the run.
            manager: Pluggy's manager of the hooks of the session.
        """
        name = self.objective.dataset
        read = {strip_transcoding(i) for i in pipeline.all_inputs()}
        # A trial takes a value that nobody reads as the node returned it.
        self._read_back = (
            strip_transcoding(name) in read
            and name in catalog
            and changes_content(catalog.get(name))
        )
        needed = pipeline if self.nodes is None else keep_nodes(pipeline, self.nodes)
        if self.mlflow is not None:
            self.mlflow.begin(self.run_id, catalog, needed.all_outputs())
        redirection = redirect(needed, catalog, self.folder)
        self.in_memory, self._persistent = redirection.in_memory, redirection.persistent
        for replaced, dataset in redirection.datasets.items():
            replace_dataset(catalog, replaced, dataset)
        # The user's checkpoints stay.
        nodes = [copy_node(n, confirms=None) if n.confirms else n for n in needed.nodes]
        self._pipeline, self._whole = pipeline, dict(pipeline.__dict__)
        replace_content(pipeline, pipeline_in_order(nodes).__dict__)
        self._catalog, self._manager = catalog, manager
        if manager is not None:
            manager.register(self)
        self.began = True

    def complete(self, result: dict[str, Any], catalog: CatalogProtocol[Any, Any]) -> None:
        """Nothing: the result is that of a plain run."""

    def end(self) -> None:
        """Give the pipeline its nodes back; safe to call twice."""
        if self._pipeline is not None:
            replace_content(self._pipeline, self._whole)
            self._pipeline = None
        if self._manager is not None:
            self._manager.unregister(self)
            self._manager = None

    def keep_outputs(self, meta: Mapping[str, Any], keys: Mapping[str, str | None]) -> None:
        """Let records point to the outputs in the cache, so that they stay there.

        No trial is ever served from such a record: its key is no node's.

        Args:
            meta: What they say about the run.
            keys: Of nodes, where the record of the trial is.
        """
        for node, names in self._made_by.items():
            kept = {name: self.kept[name] for name in names}
            digests = {blob.digest for blob in kept.values()}
            key = keys.get(node)
            record = self.store.get(key) if key else None
            if digests <= {blob.digest for blob in (record.outputs if record else ())}:
                continue
            described = {
                **meta,
                "node": node,
                "datasets": list(kept),
                "seconds": self.seconds.get(node, 0.0),
                "created": round(time.time(), 3),
            }
            own = combine(confirmed=sorted(digests), node=node)
            self.store.put(own, list(kept.values()), described)

    @hook_impl(tryfirst=True)
    def before_dataset_loaded(self, dataset_name: str, node: Node) -> None:
        self.node = node.name

    @hook_impl(trylast=True)
    def before_node_run(self, node: Node) -> None:
        self.node = node.name
        self._started = time.perf_counter()

    @hook_impl(tryfirst=True)
    def after_node_run(self, node: Node) -> None:
        self.seconds[node.name] = time.perf_counter() - self._started

    @hook_impl(trylast=True)
    def before_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Note what the node returned, as the hooks of others have left it."""
        if self.mlflow is not None:
            self.mlflow.log(dataset_name, data)
        if inspect.isgeneratorfunction(node.func):  # a chunk of it is no output
            return
        try:
            blob = self.store.digest(data)
        except Unstorable:
            return
        if self._differs(node, dataset_name, data, blob) and node.name not in self.differing:
            self.differing.append(node.name)
        if node.name == self.watched:
            with contextlib.suppress(Unstorable):
                self.returned.append(self.scratch.dump(data))
        if self.keeps and dataset_name in self._persistent:
            with contextlib.suppress(Unstorable):
                self.kept[dataset_name] = blob if self.store.has(blob) else self.store.dump(data)
                self._made_by.setdefault(node.name, []).append(dataset_name)

    def _differs(self, node: Node, name: str, value: Any, blob: Blob) -> bool:
        """Whether an output is another one than in the trial, as far as that is known."""
        outputs = dict(zip(node.outputs, self.expected.get(node.name, ()), strict=False))
        digest, size = outputs.get(name, ("", 0))
        if digest in ("", blob.digest):
            return False
        try:
            return not same_value(value, self.store.load(Blob(digest, size, 0.0)))
        except CacheMiss:
            return True

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Read the objective as a trial does, while it is sure to be there."""
        if dataset_name != self.objective.dataset or self._catalog is None:
            return
        streams = inspect.isgeneratorfunction(node.func)
        self.value, self.problem = None, ""
        try:
            loads = self._read_back or streams
            self.value = self.objective.read(self._catalog.load(dataset_name) if loads else data)
        except (ObjectiveError, ValueError) as error:
            self.problem = str(error)
