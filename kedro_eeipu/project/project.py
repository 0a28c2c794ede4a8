"""A Kedro project as the tuner sees it: loaded, checked, and run once per trial."""

from __future__ import annotations

import fnmatch
import functools
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroServiceSession
from kedro.io import CatalogProtocol
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline
from kedro.pipeline.transcoding import _strip_transcoding
from kedro.runner import AbstractRunner

from kedro_eeipu.cache.store.store import Store
from kedro_eeipu.config.loading import (
    UNREADABLE,
    check_environment,
    load_settings,
    open_store,
    study_storage,
    unreadable,
)
from kedro_eeipu.config.settings import FILE, Settings
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks import PlannedRun, hooks
from kedro_eeipu.hooks.plan import Planner, RunPlan
from kedro_eeipu.hooks.pruning import Gate
from kedro_eeipu.hooks.run_directory import RunDirectory
from kedro_eeipu.search import SearchSpace, StageGraph, parse_space
from kedro_eeipu.search.block import block_of
from kedro_eeipu.search.space import override
from kedro_eeipu.search.stages import holds, reaching_parameters, touches
from kedro_eeipu.study.steps import last_value

# Kedro-Viz rewrites a file that grows with every run to show the last one's status.
_NOT_WHILE_TUNING = ("kedro_viz",)


@dataclass
class Project:
    """A project, one of its pipelines, and the search that is declared for it.

    Attributes:
        path: The project's root.
        env: Configuration environment, ``None`` for the project's default.
        pipeline_name: Name in the registry.
        pipeline: The nodes that each trial runs.
        parameters: The merged parameters, the user's runtime parameters among them.
        runtime_params: What the user gave with ``--params``.
        space: What is searched.
        settings: What ``eeipu.yml`` says.
        store: The cache.
        storage: Database URL of the study.
        session: Runs the trials.
        conf_source: Another configuration folder than the project's own.
    """

    path: Path
    env: str | None
    pipeline_name: str
    pipeline: Pipeline
    parameters: dict[str, Any]
    runtime_params: dict[str, Any]
    space: SearchSpace
    settings: Settings
    store: Store
    storage: str = field(repr=False)
    session: KedroServiceSession
    conf_source: str | None = None
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
    ) -> Project:
        """Load a bootstrapped project and check its search against its pipeline.

        Raises:
            ConfigurationError: Something in the configuration is wrong; nothing has run.
        """
        session = KedroServiceSession.create(project_path=path, env=env, conf_source=conf_source)
        given = dict(runtime_params or {})
        context = session.load_context(given)
        parameters = _parameters(context, parameters_file(path, env))
        block = block_of(pipeline_name, parameters)
        where = parameters_file(path, env, block)
        if pipeline_name not in pipelines:
            raise ConfigurationError(
                f"there is no pipeline '{pipeline_name}'",
                remedy=_close(pipeline_name, pipelines) + f"Known: {', '.join(sorted(pipelines))}.",
            )
        pipeline = pipelines[pipeline_name]
        space = parse_space(parameters, where, sorted(pipeline.outputs()), block)
        check_reach(pipeline, space, f"{where}: {block}")
        check_objective(pipeline, space, f"{where}: {block}")
        settings = load_settings(context)
        return cls(
            path=path,
            env=context.env,
            pipeline_name=pipeline_name,
            pipeline=pipeline,
            parameters=parameters,
            runtime_params=given,
            space=space,
            settings=settings,
            store=open_store(context, settings),
            storage=study_storage(context, settings),
            session=session,
            conf_source=conf_source,
        )

    @property
    def warnings(self) -> list[str]:
        """What is odd in the configuration but no reason to stop."""
        known = {
            "nodes": [n.name for n in self.pipeline.nodes],
            "inputs": sorted(self.pipeline.inputs()),
        }
        cache = self.settings.cache
        unmatched = [("nodes", p) for p in cache.nodes if not fnmatch.filter(known["nodes"], p)]
        unmatched += [("inputs", name) for name in cache.inputs if name not in known["inputs"]]
        return [
            *self.space.warnings,
            *self._uneven_steps(),
            *(
                f"{FILE}: cache.{key}.{name} matches nothing in the pipeline. "
                + _close(name, known[key])
                for key, name in unmatched
            ),
        ]

    def _uneven_steps(self) -> Iterator[str]:
        block = block_of(self.pipeline_name, self.parameters)
        for r in self.space:
            if r.step is not None and last_value(r) < r.high:
                where = f"{parameters_file(self.path, self.env, block)}: {block}.space.{r.path}"
                yield (
                    f"{where}: steps of {r.step:g} from {r.low:g} do not reach {r.high:g}; "
                    f"the last value is {last_value(r):g}"
                )

    @property
    def home(self) -> Path:
        """Where the plugin keeps what is local: the study, the runs and their lock."""
        return self.path / ".eeipu"

    @property
    def planner(self) -> Planner:
        """Plans runs of this project."""
        return Planner(self.store, self.settings.cache, self.path)

    def dry_plan(self) -> RunPlan:
        """What a run with the project's own values would do; nothing is run or kept.

        Raises:
            ConfigurationError: Trials of this pipeline could not be kept from each other.
        """
        if self._dry is None:
            context = self.session.load_context(self.runtime_params)
            directory = RunDirectory(self.home / "runs" / f"plan-{os.getpid()}")
            try:
                catalog: CatalogProtocol = context._get_catalog()
                check_files(self.pipeline, catalog)
                self._dry = self.planner.plan(self.pipeline, catalog, directory)
            finally:
                directory.remove()
        return self._dry

    @functools.cached_property
    def fixed_parts(self) -> dict[str, dict[str, str]]:
        """The parts of each node's key that no trial changes: code, settings, fixed inputs."""
        plan = self.dry_plan()

        def varies(part: str) -> bool:
            return part in plan.datasets or any(holds(part, p) for p in self.space.paths)

        return {
            name: {part: token for part, token in action.parts().items() if not varies(part)}
            for name, action in plan.actions.items()
        }

    def stage_graph(self) -> StageGraph:
        """The stages of the pipeline, nodes that are never cached apart."""
        never = {n for n, a in self.dry_plan().actions.items() if a.identity is None}
        return StageGraph.from_pipeline(self.pipeline, self.space.paths, never)

    def node_plan(self) -> list[dict[str, Any]]:
        """What ``kedro eeipu plan --format json`` says of each node."""
        graph = self.stage_graph()
        return [
            {
                "name": name,
                "stage": graph[graph.stage_of(name)].id,
                "parameters": [p for p in self.space.paths if touches(action.node, p)],
                "cacheable": action.identity is not None,
                "why_not": action.why_not,
            }
            for name, action in self.dry_plan().actions.items()
        ]

    def run_directory(self, run_id: str) -> RunDirectory:
        """The directory of the run with this id."""
        return RunDirectory(self.home / "runs" / run_id)

    def new_run(self, run_id: str, meta: Mapping[str, Any], gate: Gate | None = None) -> PlannedRun:
        """A run through the cache, to be started with `execute`."""
        return PlannedRun(
            run_id, self.planner, self.run_directory(run_id), meta=dict(meta), gate=gate
        )

    def execute(self, run: PlannedRun, values: Mapping[str, Any], runner: AbstractRunner) -> None:
        """Run the pipeline with these values through Kedro, the full lifecycle of hooks included.

        Raises:
            Exception: Whatever a node, a dataset or Kedro itself raised.
        """
        hooks.announce(run)
        outer = _active_mlflow_run()
        try:
            self.session.run(
                run_id=run.run_id,
                pipeline_names=[self.pipeline_name],
                runner=runner,
                runtime_params={**self.runtime_params, **override(self.parameters, values)},
            )
            if run.plan is None:
                raise ConfigurationError(
                    "the plugin's hook did not take part in the run",
                    where="settings.py: DISABLE_HOOKS_FOR_PLUGINS",
                    remedy="Take kedro-eeipu out of DISABLE_HOOKS_FOR_PLUGINS.",
                )
        finally:
            hooks.forget(run)
            # kedro-mlflow leaves its run open when asked to nest, and always when interrupted;
            # the next trial would then log into it.
            while _active_mlflow_run() not in (None, outer):
                sys.modules["mlflow"].end_run()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Let Kedro and plugins that only slow a search down be silent while trials run."""
        manager = self.session._hook_manager
        silenced = [
            (name, plugin)
            for name, plugin in manager.list_name_plugin()
            if plugin is not None and type(plugin).__module__.split(".")[0] in _NOT_WHILE_TUNING
        ]
        for _, plugin in silenced:
            manager.unregister(plugin)
        kedro_logger = logging.getLogger("kedro")
        level = kedro_logger.level
        kedro_logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            kedro_logger.setLevel(level)
            for name, plugin in silenced:
                manager.register(plugin, name=name)


def _active_mlflow_run() -> str | None:
    """Id of the MLflow run that is open in this process, if MLflow is in use at all."""
    mlflow: Any = sys.modules.get("mlflow")
    run = None if mlflow is None else mlflow.active_run()
    return None if run is None else str(run.info.run_id)


def check_reach(pipeline: Pipeline, space: SearchSpace, where: str) -> None:
    """Refuse a range that no node of the pipeline takes in.

    Raises:
        ConfigurationError: There is one.
    """
    reached = set().union(*reaching_parameters(pipeline, space.paths).values())
    for path in space.paths:
        if path not in reached:
            taken = sorted(
                {
                    i[len("params:") :]
                    for n in pipeline.nodes
                    for i in n.inputs
                    if i.startswith("params:")
                }
            )
            raise ConfigurationError(
                f"no node of the pipeline takes '{path}', so tuning it changes nothing",
                where=f"{where}.space.{path}",
                remedy=f"Its nodes take: {', '.join(taken) or 'no parameters'}.",
            )


def check_objective(pipeline: Pipeline, space: SearchSpace, where: str) -> None:
    """Refuse an objective or a report that no node produces.

    Raises:
        ConfigurationError: No node does.
    """
    produced = sorted(pipeline.all_outputs())
    for told in (space.objective, *space.reports):
        if told.dataset not in produced:
            raise ConfigurationError(
                f"no node of the pipeline produces the dataset '{told.dataset}'",
                where=f"{where}.{told.role}",
                remedy=_close(told.dataset, produced)
                + f"Its nodes produce: {', '.join(produced)}.",
            )


def check_files(pipeline: Pipeline, catalog: CatalogProtocol) -> None:
    """Refuse an input that lies in a file which a node writes under another name.

    Trials keep what they produce in the cache, so such an input would be read as an earlier plain
    run left it.

    Raises:
        ConfigurationError: There is one.
    """
    files = {name: _file(catalog, name) for name in pipeline.all_outputs()}
    produced = {_strip_transcoding(name) for name in files}
    for name in sorted(pipeline.inputs()):
        if is_parameter(name) or _strip_transcoding(name) in produced:
            continue
        own = _file(catalog, name)
        for other, written in files.items():
            if own and written and (own == written or own.startswith(f"{written}/")):
                raise ConfigurationError(
                    f"'{name}' reads {own}, which a node of the pipeline writes as '{other}'",
                    where="catalog.yml",
                    remedy=f"Let its nodes take '{other}' as their input: trials write no files.",
                )


def _file(catalog: CatalogProtocol, name: str) -> str:
    """Where a declared dataset lies, empty for one that does not lie in files."""
    dataset: Any = catalog.get(name) if name in catalog else None
    path = getattr(dataset, "_filepath", None) or getattr(dataset, "_path", None)
    return "" if path is None else f"{getattr(dataset, '_protocol', '')}:{path}"


def parameters_file(path: Path, env: str | None, block: str = "eeipu") -> str:
    """The file that holds the ``eeipu`` block, as a user would name it."""
    for folder in dict.fromkeys(filter(None, (env, "local", "base"))):
        for file in sorted((path / "conf" / folder).glob("**/parameters*.y*ml")):
            if any(line.startswith(f"{block}:") for line in file.read_text().splitlines()):
                return file.relative_to(path).as_posix()
    return "conf/base/parameters.yml"


def read_parameters(
    path: Path,
    env: str | None,
    runtime_params: Mapping[str, Any] | None = None,
    conf_source: str | None = None,
) -> dict[str, Any]:
    """The parameters of a plain run.

    Raises:
        ConfigurationError: They cannot be read.
    """
    session = KedroServiceSession.create(project_path=path, env=env, conf_source=conf_source)
    context = session.load_context(dict(runtime_params or {}))
    return _parameters(context, parameters_file(path, env))


def _parameters(context: KedroContext, where: str) -> dict[str, Any]:
    check_environment(context)
    try:
        return dict(context.config_loader["parameters"])
    except MissingConfigException:
        return {}
    except UNREADABLE as error:
        raise unreadable(error, context, where) from None


def _close(name: str, known: Any) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"Did you mean '{close[0]}'? " if close else ""
