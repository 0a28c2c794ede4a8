"""One run that goes through the cache, from the moment Kedro starts it to its end."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from kedro_eeipu._kedro import pipeline_in_order, replace_content, replace_dataset
from kedro_eeipu.cache.store.size_limit import SizeLimit
from kedro_eeipu.hooks.library_settings import note_settings
from kedro_eeipu.hooks.mlflow import MlflowRun
from kedro_eeipu.hooks.plan import Planner, RunPlan
from kedro_eeipu.hooks.process_state import CarriedState, ProcessState
from kedro_eeipu.hooks.pruning import Gate
from kedro_eeipu.hooks.run_directory import RunDirectory
from kedro_eeipu.states import NodeState

__all__ = ["PlannedRun"]


@dataclass
class PlannedRun:
    """A run that goes through the cache.

    Attributes:
        run_id: Kedro's id of the run.
        planner: Plans it.
        directory: Its run directory.
        write_through: Whether outputs are also written where the user's catalog declares them.
        meta: What new records say about this run.
        gate: Ends it early when what it reports on the way is not good enough.
        start: The state of the process in which it begins, before any hook is called; ``None``
            if that is not known.
        seeded: Random generators that the project has seeded when it was imported.
        nodes: Names of the nodes that it needs, ``None`` for all.
        mlflow: What MLflow is told about it, ``None`` for a plain run.
        plan: What it does, once Kedro has started it.
    """

    run_id: str
    planner: Planner
    directory: RunDirectory
    write_through: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)
    gate: Gate | None = None
    start: ProcessState | None = None
    seeded: frozenset[str] = frozenset()
    nodes: Collection[str] | None = None
    mlflow: MlflowRun | None = None
    plan: RunPlan | None = None
    _pipeline: Pipeline | None = None
    _outputs: set[str] = field(default_factory=set)
    _whole: dict[str, Any] = field(default_factory=dict)

    def begin(
        self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], manager: Any = None
    ) -> RunPlan:
        """Plan the run, and put the plan in the place of the pipeline and the catalog.

        Args:
            pipeline: What Kedro is about to run.
            catalog: The catalog of the run.
            manager: Pluggy's manager of the hooks of the session.
        """
        if self.start is None:
            note_settings()
        self.plan = self.planner.plan(
            pipeline,
            catalog,
            self.directory,
            write_through=self.write_through,
            meta=self.meta,
            gate=self.gate,
            manager=manager,
            carried=CarriedState(self.start, self.seeded),
            nodes=self.nodes,
        )
        if self.mlflow is not None:
            self.mlflow.begin(self.run_id, catalog, self.plan.datasets)
        for name, dataset in {**self.plan.datasets, **self.plan.streamed}.items():
            replace_dataset(catalog, name, dataset)
        self._pipeline, self._whole = pipeline, dict(pipeline.__dict__)
        self._outputs = self.plan.pipeline.outputs()
        # The runner gets this very object next, so its content is what must change.
        replace_content(pipeline, pipeline_in_order(self.plan.nodes_to_run()).__dict__)
        if self.gate is not None:
            for name in self.plan.reused:
                outputs = self.plan.actions[name].outputs
                self.gate.check(self.gate.steps(outputs), outputs)
        return self.plan

    def complete(self, result: dict[str, Any], catalog: CatalogProtocol[Any, Any]) -> None:
        """Turn the result of the nodes that were called into that of the whole run."""
        result.clear()
        for name in self._outputs:
            dataset = None if self.plan is None else self.plan.datasets.get(name)
            if dataset is not None and self.write_through:
                dataset.keep()
            delivered = dataset is not None and dataset.delivers
            result[name] = dataset.declared if dataset and delivered else catalog[name]

    @property
    def began(self) -> bool:
        """Whether Kedro has started it."""
        return self.plan is not None

    def keep_limit(self) -> None:
        """Make room in the store for what the run has written."""
        events = self.directory.nodes().values()
        recorded = [e for e in events if e["status"] == NodeState.RAN and not e.get("why_not")]
        SizeLimit(self.planner.store, self.planner.settings.max_size).written(
            sum(size for event in recorded for _, size in event.get("outputs", ()))
        )

    def end(self) -> None:
        """Give the pipeline its nodes back and the leases up; safe to call twice."""
        if self._pipeline is not None:
            replace_content(self._pipeline, self._whole)
            self._pipeline = None
        if self.plan is not None:
            self.plan.close()
            with contextlib.suppress(Exception):  # they go when the process has ended
                self.planner.store.folders.release(self.directory.owner)
