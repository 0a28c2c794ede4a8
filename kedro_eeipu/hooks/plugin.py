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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kedro.framework.hooks import hook_impl

from kedro_eeipu._kedro import hook_manager

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

    from kedro_eeipu.hooks.mlflow import MlflowRun
    from kedro_eeipu.hooks.plan import RunPlan
    from kedro_eeipu.hooks.run import PlannedRun

__all__ = ["EEIPUHooks", "hooks"]

logger = logging.getLogger(__name__)


class AnnouncedRun(Protocol):
    """A run that the plugin takes part in.

    Attributes:
        run_id: Kedro's id of the run.
        mlflow: What MLflow is told about it, ``None`` for a plain run.
        plan: What it does with the cache, ``None`` where it does nothing.
    """

    run_id: str
    mlflow: MlflowRun | None

    @property
    def plan(self) -> RunPlan | None: ...

    def begin(
        self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], manager: Any = None
    ) -> Any:
        """Change the pipeline and the catalog that Kedro is about to run."""

    def complete(self, result: dict[str, Any], catalog: CatalogProtocol[Any, Any]) -> None:
        """Complete the result of the run."""

    def end(self) -> None:
        """Undo what `begin` did; safe to call twice."""


class EEIPUHooks:
    """Kedro hooks of the plugin; does nothing in a run that was not announced or asked for."""

    def __init__(self) -> None:
        self._runs: dict[str, AnnouncedRun] = {}
        self._plain: dict[str, PlannedRun] = {}
        self._local = threading.local()

    def announce(self, run: AnnouncedRun) -> None:
        """Take part in the run with this id; `forget` it when it is over."""
        self._runs[run.run_id] = run
        self._local.announced = run

    def forget(self, run: AnnouncedRun) -> None:
        """End a run, whether Kedro announced its end or was interrupted before it could."""
        run.end()
        self._runs.pop(run.run_id, None)
        self._local.announced = None

    @hook_impl(trylast=True)
    def after_context_created(self, context: KedroContext) -> None:
        self._local.context = context
        run = getattr(self._local, "announced", None)
        if run is not None and run.mlflow is not None:
            run.mlflow.announce(context)

    @hook_impl(trylast=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        run_id = _run_id(run_params)
        run = self._runs.get(run_id)
        if run is None:
            run = self._begin_plain(run_id, run_params, pipeline, catalog)
        else:
            run.begin(pipeline, catalog, self._manager())
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
        self,
        run_params: dict[str, Any],
        run_result: dict[str, Any],
        catalog: CatalogProtocol[Any, Any],
    ) -> None:
        run = self._runs.get(_run_id(run_params))
        if run is not None:
            run.complete(run_result, catalog)
            run.end()
            if plain := self._plain.get(run.run_id):
                plain.keep_limit()
            self._end(run)

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self, run_params: dict[str, Any]) -> None:
        run = self._runs.get(_run_id(run_params))
        if run is not None:
            self._end(run)

    def _manager(self) -> Any:
        context = getattr(self._local, "context", None)
        return None if context is None else hook_manager(context)

    def _end(self, run: AnnouncedRun) -> None:
        run.end()
        if plain := self._plain.pop(run.run_id, None):
            self._runs.pop(run.run_id, None)
            plain.directory.remove()

    def _begin_plain(
        self,
        run_id: str,
        run_params: Mapping[str, Any],
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
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
                run.begin(pipeline, catalog, self._manager())
        except Exception as error:
            logger.warning("This run is not cached: %s", error)
            if run is not None:
                run.directory.remove()
            return None
        if run is not None:
            # An interrupted one got no end event.
            interrupted = getattr(self._local, "plain", None)
            if interrupted is not None:
                self._end(interrupted)
            self._local.plain = run
            self._plain[run_id] = run
            self._runs[run_id] = run
        return run

    def _tell_other_plugins(
        self, plan: RunPlan, catalog: CatalogProtocol[Any, Any], run_id: str
    ) -> None:
        """Other plugins log parameters and follow a run node by node: let them see it whole."""
        from kedro_eeipu.hooks.other_plugins import OtherPlugins

        others = OtherPlugins(self._manager(), self)
        for name in plan.actions:
            if name in plan.reused and not plan.delivers(name):
                others.tell(plan, name, catalog, run_id)


def _has_settings(context: KedroContext) -> bool:
    """Whether there may be an ``eeipu.yml``, determined without reading any configuration."""
    source = Path(str(getattr(context.config_loader, "conf_source", "")))
    return not source.is_dir() or next(source.rglob("eeipu*"), None) is not None


def _run_id(run_params: Mapping[str, Any]) -> str:
    return str(run_params.get("run_id") or run_params.get("session_id"))


hooks = EEIPUHooks()
