"""The hook that plans runs against the cache, serves hits and records misses.

Kedro loads a node's inputs before it calls ``before_node_run``, too late to save the loading. So
the whole run is planned in ``before_pipeline_run``: the catalog entries of produced datasets are
replaced by ours, and the pipeline that the runner is about to get is reduced to the nodes that
must be called.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import AbstractDataset, CatalogProtocol
    from kedro.pipeline.node import Node

    from kedro_eeipu.hooks.plan import Planner, RunPlan
    from kedro_eeipu.hooks.pruning import Gate
    from kedro_eeipu.hooks.run_directory import RunDirectory

__all__ = ["EEIPUHooks", "PlannedRun", "hooks"]

logger = logging.getLogger(__name__)


@dataclass
class PlannedRun:
    """A run that goes through the cache.

    Attributes:
        run_id: Kedro's id of the run.
        planner: Plans it.
        directory: Its run directory.
        write_through: Whether outputs are also written where the user's catalog declares them.
        meta: What new records say of this run.
        gate: Ends it early when what it reports on the way is not good enough.
        plan: What it does, once Kedro has started it.
    """

    run_id: str
    planner: Planner
    directory: RunDirectory
    write_through: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)
    gate: Gate | None = None
    plan: RunPlan | None = None
    _pipeline: Pipeline | None = None
    _outputs: set[str] = field(default_factory=set)
    _whole: dict[str, Any] = field(default_factory=dict)

    def begin(self, pipeline: Pipeline, catalog: CatalogProtocol) -> RunPlan:
        """Plan the run, and put the plan in the place of the pipeline and the catalog."""
        self.plan = self.planner.plan(
            pipeline, catalog, self.directory, write_through=self.write_through, meta=self.meta
        )
        for name, dataset in {**self.plan.datasets, **self.plan.streamed}.items():
            replace_dataset(catalog, name, dataset)
        self._pipeline, self._whole = pipeline, dict(pipeline.__dict__)
        self._outputs = pipeline.outputs()
        # The runner gets this very object next, so its content is what must change.
        pipeline.__dict__.clear()
        pipeline.__dict__.update(Pipeline(self.plan.nodes_to_run()).__dict__)
        if self.gate is not None:
            self.gate.watch(self.plan)
        return self.plan

    def complete(self, result: dict[str, Any], catalog: CatalogProtocol) -> None:
        """Turn the result of the nodes that were called into that of the whole run."""
        result.clear()
        for name in self._outputs:
            made = None if self.plan is None else self.plan.datasets.get(name)
            if made is not None and self.write_through:
                made.keep()
            result[name] = made.declared if made is not None and made.delivers else catalog[name]

    def keep_limit(self) -> None:
        """Make room in the store for what the run has written."""
        from kedro_eeipu.cache.store.size_limit import SizeLimit

        events = self.directory.nodes().values()
        made = [e for e in events if e["status"] == "ran" and not e.get("why_not")]
        SizeLimit(self.planner.store, self.planner.settings.max_size).written(
            sum(size for event in made for _, size in event.get("outputs", ()))
        )

    def end(self) -> None:
        """Give the pipeline its nodes back and the leases up; safe to call twice."""
        if self._pipeline is not None:
            self._pipeline.__dict__.clear()
            self._pipeline.__dict__.update(self._whole)
            self._pipeline = None
        if self.plan is not None:
            self.plan.close()


class EEIPUHooks:
    """Kedro hooks of the plugin; does nothing in a run that was not announced or asked for."""

    def __init__(self) -> None:
        self._runs: dict[str, PlannedRun] = {}
        self._plain: set[str] = set()
        self._local = threading.local()

    def announce(self, run: PlannedRun) -> None:
        """Let the run with this id go through the cache; `forget` it when it is over."""
        self._runs[run.run_id] = run

    def forget(self, run: PlannedRun) -> None:
        """End a run, whether Kedro told its end or was interrupted before it could."""
        run.end()
        self._runs.pop(run.run_id, None)

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        self._local.context = context

    @hook_impl(trylast=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        run_id = _run_id(run_params)
        run = self._runs.get(run_id)
        if run is None:
            run = self._begin_plain(run_id, run_params, pipeline, catalog)
        else:
            run.begin(pipeline, catalog)
        if run is not None and run.plan is not None:
            self._tell_other_plugins(run.plan, catalog, run_id)

    @hook_impl(wrapper=True)
    def before_node_run(self, node: Node) -> Generator[None, Any, Any]:
        """A hook that replaces inputs changes what the node computes: its key no longer holds."""
        replaced = yield
        action = (
            node.func.args[0] if isinstance(node.func, partial) and node.func.args else node.func
        )
        if any(replaced) and hasattr(action, "bypass"):
            action.bypass("a hook of another plugin replaced its inputs")
        return replaced

    @hook_impl(tryfirst=True)
    def after_pipeline_run(
        self, run_params: dict[str, Any], run_result: dict[str, Any], catalog: CatalogProtocol
    ) -> None:
        run = self._runs.get(_run_id(run_params))
        if run is not None:
            run.complete(run_result, catalog)
            run.end()
            if run.run_id in self._plain:
                run.keep_limit()
            self._end(run)

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self, run_params: dict[str, Any]) -> None:
        run = self._runs.get(_run_id(run_params))
        if run is not None:
            self._end(run)

    def _end(self, run: PlannedRun) -> None:
        run.end()
        if run.run_id in self._plain:
            self._plain.discard(run.run_id)
            self._runs.pop(run.run_id, None)
            run.directory.remove()

    def _begin_plain(
        self,
        run_id: str,
        run_params: Mapping[str, Any],
        pipeline: Pipeline,
        catalog: CatalogProtocol,
    ) -> PlannedRun | None:
        """Begin a plain run through the cache; on any trouble it is a run without it."""
        context = getattr(self._local, "context", None)
        if context is None or not _has_settings(context):
            return None
        run = None
        try:
            from kedro_eeipu.hooks.plain import plain_run

            run = plain_run(run_id, run_params, context, pipeline)
            if run is not None:
                run.begin(pipeline, catalog)
        except Exception as error:
            logger.warning("This run is not cached: %s", error)
            if run is not None:
                run.directory.remove()
            return None
        if run is not None:
            # One that was interrupted was told of no end.
            interrupted = getattr(self._local, "plain", None)
            if interrupted is not None:
                self._end(interrupted)
            self._local.plain = run
            self._plain.add(run_id)
            self._runs[run_id] = run
        return run

    def _tell_other_plugins(self, plan: RunPlan, catalog: CatalogProtocol, run_id: str) -> None:
        """Other plugins log parameters and follow a run node by node: let them see it whole."""
        manager = self._local.context._hook_manager
        before = manager.subset_hook_caller("before_node_run", [self])
        after = manager.subset_hook_caller("after_node_run", [self])
        for name in plan.actions:
            if name not in plan.reused or plan.delivers(name):
                continue
            node = plan.actions[name].node
            inputs = {i: catalog.load(i) for i in node.inputs if is_parameter(i)}
            common = {"node": node, "catalog": catalog, "is_async": False, "run_id": run_id}
            before(inputs=inputs, **common)
            after(inputs=inputs, outputs={}, **common)


def replace_dataset(catalog: CatalogProtocol, name: str, dataset: AbstractDataset) -> None:
    """Put a dataset in the place of another of the same name, its validator kept.

    ``catalog[name] = dataset`` would drop the validator that the user declared for the entry.
    """
    datasets: dict[str, AbstractDataset] = getattr(catalog, "_datasets", {})
    if name in datasets:
        datasets[name] = dataset
    else:
        catalog[name] = dataset


def _has_settings(context: KedroContext) -> bool:
    """Whether there may be an ``eeipu.yml``, told without reading any configuration."""
    source = Path(str(getattr(context.config_loader, "conf_source", "")))
    return not source.is_dir() or next(source.rglob("eeipu*"), None) is not None


def _run_id(run_params: Mapping[str, Any]) -> str:
    return str(run_params.get("run_id") or run_params.get("session_id"))


hooks = EEIPUHooks()
