"""A Kedro project as the tuner sees it: loaded, checked, and run once per trial."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.runner import AbstractRunner

from kedro_eeipu._kedro import (
    catalog_of,
    freezing_session,
    frozen_folders,
    hook_manager,
    keep_nodes,
)
from kedro_eeipu.cache.store.store import Store
from kedro_eeipu.config import opening
from kedro_eeipu.config.frozen import ConfigurationSnapshot
from kedro_eeipu.config.loading import load_settings
from kedro_eeipu.config.redaction import Redactor
from kedro_eeipu.config.settings import Settings
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks import process_state
from kedro_eeipu.hooks.fresh_run import FreshRun
from kedro_eeipu.hooks.library_settings import note_settings
from kedro_eeipu.hooks.mlflow import active_mlflow_run, end_mlflow_runs
from kedro_eeipu.hooks.plan import Planner, RunPlan
from kedro_eeipu.hooks.plugin import hooks
from kedro_eeipu.hooks.process_state import CarriedState, ProcessState
from kedro_eeipu.hooks.pruning import Gate
from kedro_eeipu.hooks.random_generators import seeded_by_now
from kedro_eeipu.hooks.run import PlannedRun
from kedro_eeipu.hooks.run_directory import RunDirectory, plan_directory
from kedro_eeipu.hooks.world import World, world_of
from kedro_eeipu.project.checks import (
    check_files,
    check_objective,
    check_pipeline,
    check_reach,
    check_value_kinds,
    missing_files,
    uneven_steps,
    unmatched_settings,
    unmatched_timeouts,
)
from kedro_eeipu.project.needed import needed_nodes
from kedro_eeipu.project.parameters import (
    catalog_errors,
    check_loader,
    context_parameters,
    open_context,
    parameters_file,
)
from kedro_eeipu.project.proposal import NoBlockError, proposed_block
from kedro_eeipu.project.quiet import quiet
from kedro_eeipu.project.state import fixed_parts, pipeline_state
from kedro_eeipu.search import SearchSpace, StageGraph, parse_space
from kedro_eeipu.search.block import block_of
from kedro_eeipu.search.paths import override
from kedro_eeipu.study.pipeline_state import PipelineState

__all__ = ["Project"]


@dataclass
class Project:
    """A project, one of its pipelines, and the search that is declared for it.

    Attributes:
        path: The project's root.
        env: Configuration environment, ``None`` for the project's default.
        pipeline_name: Name in the registry.
        registered: The pipeline of that name.
        pipeline: The nodes of it that each trial runs.
        parameters: The merged parameters, the user's runtime parameters among them.
        runtime_params: What the user gave with ``--params``.
        space: What is searched.
        block_place: The file and the block that declare it, as errors and warnings name them.
        settings: What ``eeipu.yml`` says.
        store: The cache.
        storage: Database URL of the study.
        session: Runs the trials, all on the same configuration.
        configuration: What that configuration holds.
        conf_source: Another configuration folder than the project's own.
        started: State of the process in which trials begin.
        seeded: Random generators that the project has seeded when it was imported.
    """

    path: Path
    env: str | None
    pipeline_name: str
    registered: Pipeline
    pipeline: Pipeline
    parameters: dict[str, Any]
    runtime_params: dict[str, Any]
    space: SearchSpace
    block_place: str
    settings: Settings
    store: Store
    storage: str = field(repr=False)
    session: Any
    configuration: ConfigurationSnapshot
    conf_source: str | None = None
    started: ProcessState = field(default_factory=dict, repr=False)
    seeded: frozenset[str] = frozenset()
    _dry: RunPlan | None = field(default=None, repr=False)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        env: str | None = None,
        pipeline_name: str = "__default__",
        runtime_params: Mapping[str, Any] | None = None,
        conf_source: str | None = None,
        configuration: ConfigurationSnapshot | None = None,
    ) -> Project:
        """Load a bootstrapped project and check its search against its pipeline.

        Args:
            path: The project's root.
            env: Configuration environment.
            pipeline_name: Name in the registry.
            runtime_params: What the user gave with ``--params``.
            conf_source: Another configuration folder than the project's own.
            configuration: What another process has read of the configuration. By default the
                files are read, once: edits after that are not seen.

        Raises:
            ConfigurationError: Something in the configuration is wrong; nothing has run.
        """
        before = process_state.take()
        configuration = configuration or ConfigurationSnapshot()
        session = freezing_session(
            configuration, project_path=path, env=env, conf_source=conf_source
        )
        given = dict(runtime_params or {})
        context = open_context(session, given)
        configuration.watch(frozen_folders(context.config_loader))
        parameters = context_parameters(context, parameters_file(context))
        check_pipeline(pipeline_name, pipelines)
        registered = pipelines[pipeline_name]
        started = process_state.take()  # as a plain run has it once its code is imported
        note_settings()
        block = block_of(pipeline_name, parameters)
        if parameters.get(block) is None:
            raise NoBlockError(proposed_block(context, parameters, registered, pipeline_name, env))
        file = parameters_file(context, block)
        block_place = f"{file}: {block}"
        space = parse_space(parameters, file, sorted(registered.outputs()), block)
        check_objective(registered, space, block_place, pipeline_name)
        with catalog_errors(context):
            needed = needed_nodes(registered, space, catalog_of(context), block_place)
        pipeline = keep_nodes(registered, needed)
        check_reach(registered, pipeline, space, block_place, parameters)
        check_loader(context, session, given, parameters, space)
        settings = load_settings(context)
        return cls(
            path=path,
            env=context.env,
            pipeline_name=pipeline_name,
            registered=registered,
            pipeline=pipeline,
            parameters=parameters,
            runtime_params=given,
            space=space,
            block_place=block_place,
            settings=settings,
            store=opening.open_store(context, settings),
            storage=opening.study_storage(context, settings),
            session=session,
            configuration=configuration,
            conf_source=conf_source,
            started=started,
            seeded=process_state.seeded_generators(before, started) | seeded_by_now(),
        )

    @property
    def warnings(self) -> list[str]:
        """What is odd in the configuration but no reason to stop."""
        return [
            *self.space.warnings,
            *uneven_steps(self.space, self.block_place),
            *unmatched_settings(self.settings.cache, self.registered),
            *missing_files(self.settings.cache, self.path, self.registered),
            *unmatched_timeouts(self.settings.timeouts, self.registered),
        ]

    @property
    def has_timeouts(self) -> bool:
        """Whether trials must run in their own process, which can be ended."""
        return self.space.timeout is not None or bool(self.settings.timeouts)

    @functools.cached_property
    def redactor(self) -> Redactor:
        """Hides the project's secrets in what is shown or stored."""
        return Redactor.of(self.session.load_context(self.runtime_params))

    @property
    def edited_files(self) -> list[str]:
        """Configuration files that were edited since the project was loaded; trials ignore that."""
        return [
            file.relative_to(self.path).as_posix() if file.is_relative_to(self.path) else str(file)
            for file in self.configuration.edited()
        ]

    @property
    def home(self) -> Path:
        """Where the plugin keeps what is local: the study, the runs and their lock."""
        return self.path / opening.HOME

    @property
    def _needed(self) -> frozenset[str]:
        return frozenset(node.name for node in self.pipeline.nodes)

    @functools.cached_property
    def _measured(self) -> frozenset[str]:
        """Names of the nodes that run where a held out value is measured."""
        if self.space.holdout is None:
            return self._needed
        catalog = catalog_of(self.session.load_context(self.runtime_params))
        space = replace(self.space, also=(*self.space.also, self.space.holdout.dataset))
        return needed_nodes(self.registered, space, catalog, self.block_place)

    @property
    def left_out(self) -> list[str]:
        """Names of the nodes that no trial runs, in the order in which `kedro run` runs them."""
        return [n.name for n in self.registered.nodes if n.name not in self._needed]

    @property
    def planner(self) -> Planner:
        """Plans runs of this project."""
        return Planner(self.store, self.settings.cache, self.path, self.world)

    @functools.cached_property
    def world(self) -> World:
        """What its nodes could depend on, as it was when the project was first planned."""
        return world_of(self.path, self.configuration)

    def forget_plans(self) -> None:
        """Plan again, with what was noted in the store meanwhile."""
        self._dry = None
        for name in ("fixed_parts", "state", "_stages"):
            self.__dict__.pop(name, None)

    def dry_plan(self) -> RunPlan:
        """What a run with the project's own values would do; nothing is run or kept.

        Raises:
            ConfigurationError: Trials could not be kept apart, or the cache cannot be opened.
        """
        if self._dry is None:
            opening.check_library(self.store)
            context = self.session.load_context(self.runtime_params)
            directory = plan_directory(opening.ensure_home(self.path) / "runs")
            try:
                with catalog_errors(context):
                    catalog: CatalogProtocol[Any, Any] = catalog_of(context)
                    measured = keep_nodes(self.registered, self._measured)
                    check_files(self.registered, measured, catalog)
                    check_value_kinds(catalog, self.space)
                self._dry = self.planner.plan(
                    self.registered,
                    catalog,
                    directory,
                    manager=hook_manager(self.session),
                    carried=CarriedState(process_state.take(), self.seeded),
                    nodes=self._needed,
                )
            finally:
                directory.remove()
        return self._dry

    @functools.cached_property
    def fixed_parts(self) -> dict[str, dict[str, str]]:
        """The parts of each node's key that no trial changes: code, settings, fixed inputs."""
        return fixed_parts(self.dry_plan(), self.space, self.parameters)

    @functools.cached_property
    def state(self) -> PipelineState:
        """What the values of trials depend on besides their own parameters, as it is now."""
        catalog = catalog_of(self.session.load_context(self.runtime_params))
        space = replace(self.space, reports=(), also=())
        needed = needed_nodes(self.registered, space, catalog, self.block_place)
        return pipeline_state(
            keep_nodes(self.registered, needed),
            self.dry_plan(),
            self.planner,
            self.space,
            self.parameters,
            catalog=catalog,
            manager=hook_manager(self.session),
        )

    @functools.cached_property
    def _stages(self) -> StageGraph:
        never = {n for n, a in self.dry_plan().actions.items() if a.identity is None}
        return StageGraph.from_pipeline(self.pipeline, self.space.paths, never, self.parameters)

    def stage_graph(self) -> StageGraph:
        """The stages of the pipeline, nodes that are never cached apart."""
        return self._stages

    def check_store(self) -> None:
        """Refuse a cache that cannot be used; see `opening.check_store`."""
        opening.check_store(self.store, self.settings)

    def plan(
        self, catalog: CatalogProtocol[Any, Any], carried: CarriedState | None = None
    ) -> RunPlan:
        """What a run of the whole pipeline would find in the cache; nothing is run or kept.

        Args:
            catalog: The catalog of such a run.
            carried: What the nodes of a trial leave in the process; ``None`` for a plain run.

        Raises:
            ConfigurationError: A node hands something on in a way that trials could not.
        """
        directory = RunDirectory(opening.ensure_home(self.path) / "runs" / f"plan-{os.getpid()}")
        try:
            manager = hook_manager(self.session)
            return self.planner.plan(
                self.registered, catalog, directory, manager=manager, carried=carried
            )
        finally:
            directory.remove()

    def run_directory(self, run_id: str) -> RunDirectory:
        """The directory of the run with this id."""
        return RunDirectory(
            opening.ensure_home(self.path) / "runs" / run_id, hide=self.redactor.text
        )

    def new_run(
        self,
        run_id: str,
        meta: Mapping[str, Any],
        gate: Gate | None = None,
        *,
        holdout: bool = False,
    ) -> PlannedRun:
        """A run through the cache, to be started with `execute`.

        Args:
            run_id: Kedro's id of the run.
            meta: What new records say about the run.
            gate: Ends it early.
            holdout: Whether the held out value is computed, too.
        """
        return PlannedRun(
            run_id,
            self.planner,
            self.run_directory(run_id),
            meta=dict(meta),
            gate=gate,
            seeded=self.seeded,
            nodes=self._measured if holdout else self._needed,
        )

    def execute(
        self, run: PlannedRun | FreshRun, values: Mapping[str, Any], runner: AbstractRunner
    ) -> None:
        """Run the pipeline with these values through Kedro, the full lifecycle of hooks included.

        Raises:
            Exception: Whatever a node, a dataset or Kedro itself raised.
        """
        # A plain run starts in a new process, a trial where the one before it ended.
        process_state.put_back(self.started)
        run.start = process_state.take()
        hooks.announce(run)
        outer = active_mlflow_run()
        try:
            self.session.run(
                run_id=run.run_id,
                pipeline_names=[self.pipeline_name],
                runner=runner,
                runtime_params={**self.runtime_params, **override(self.parameters, values)},
            )
            if not run.began:
                raise ConfigurationError(
                    "the plugin's hook did not take part in the run",
                    where="settings.py: DISABLE_HOOKS_FOR_PLUGINS",
                    remedy="Take kedro-eeipu out of DISABLE_HOOKS_FOR_PLUGINS.",
                )
        finally:
            hooks.forget(run)
            end_mlflow_runs(outer)

    def quiet(self) -> AbstractContextManager[None]:
        """Let Kedro and plugins that only slow a search down be silent while trials run."""
        return quiet(hook_manager(self.session))
