"""What a worker of a cluster does: it loads the project once, and runs the trials it is given."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.startup import bootstrap_project

from kedro_eeipu._kedro import hook_manager
from kedro_eeipu.config.frozen import ConfigurationSnapshot, PortableSnapshot
from kedro_eeipu.errors import ConfigurationError, EEIPUError
from kedro_eeipu.hooks.doubts import Doubts
from kedro_eeipu.hooks.mlflow import MlflowRun
from kedro_eeipu.hooks.pruning import Gate
from kedro_eeipu.logs import logs_to_stderr
from kedro_eeipu.project.project import Project
from kedro_eeipu.tuning.timeouts import Watch, tell_scheduler
from kedro_eeipu.tuning.trial import TrialResult, run_trial

__all__ = ["Assignment", "source_of"]

# Kedro configures one project in a process, and runs one session of it at a time.
_one_trial = threading.Lock()
_loaded: dict[Source, Project] = {}


@dataclass(frozen=True)
class Source:
    """Where a worker finds the project; credentials it reads from its own configuration.

    Attributes:
        path: The project's root on the driver's machine.
        env: Configuration environment.
        pipeline: Name in the registry.
        conf_source: Another configuration folder.
        token: Changes with everything that the driver has read of its configuration, code and
            data, so that a worker that serves several studies reads them again.
    """

    path: str
    env: str | None
    pipeline: str
    conf_source: str | None
    token: str


@dataclass(frozen=True)
class Assignment:
    """A trial for a worker to run.

    Attributes:
        source: The project.
        runtime_params: What the user gave with ``--params``.
        params: Values by dotted path, of the active parameters.
        run_id: Kedro's id of the run.
        meta: What new records say about the run.
        runner: Dotted path of Kedro's runner for the nodes.
        parts: Of each node, the parts of its key that no trial changes, as the driver has them.
        gate: Ends the trial early when what it reports on the way is not good enough.
        configuration: What the tuning process has read of the configuration, credentials left out.
        mlflow: What MLflow is told about the trial.
    """

    source: Source
    runtime_params: Mapping[str, Any]
    params: Mapping[str, Any]
    run_id: str
    meta: Mapping[str, Any]
    runner: str
    parts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    gate: Gate | None = None
    configuration: PortableSnapshot = field(default_factory=dict)
    mlflow: MlflowRun | None = None


def source_of(project: Project) -> Source:
    """Where a worker finds this project, as it is now."""
    read = (
        project.settings,
        project.parameters,
        project.fixed_parts,
        project.configuration.token(),
    )
    return Source(
        path=str(project.path),
        env=project.env,
        pipeline=project.pipeline_name,
        conf_source=project.conf_source,
        token=hashlib.sha256(repr(read).encode()).hexdigest(),
    )


def run(assignment: Assignment) -> TrialResult:
    """Run a trial in this worker; whatever it raises is in the result."""
    with _one_trial:
        try:
            project = _project(assignment)
            _check_parts(project, assignment.parts)
        except EEIPUError as error:
            return TrialResult(None, (), f"not begun: {error}", interrupted=True, stop=error)
        from kedro.utils import load_obj

        planned = project.new_run(assignment.run_id, assignment.meta, assignment.gate)
        planned.mlflow = assignment.mlflow
        stop = _StopWhenCancelled(_cancelled())
        hook_manager(project.session).register(stop)
        try:
            tell = tell_scheduler(assignment.run_id)
            with project.quiet(), Watch(project, planned, tell):
                runner = load_obj(assignment.runner)()
                return run_trial(project, planned, assignment.params, runner)
        finally:
            hook_manager(project.session).unregister(stop)


class _StopWhenCancelled:
    """Ends a trial that nobody waits for any more before its next node."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled

    @hook_impl
    def before_node_run(self) -> None:
        if self._cancelled():
            raise KeyboardInterrupt


def _cancelled() -> Callable[[], bool]:
    """Tells whether the task that asks has been cancelled since; the worker knows at once."""
    from distributed import get_worker
    from distributed.worker import thread_state  # type: ignore[attr-defined]

    key, worker = thread_state.key, get_worker()

    def cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state in ("cancelled", "released", "forgotten")

    return cancelled


def _project(assignment: Assignment) -> Project:
    source = assignment.source
    if source not in _loaded:
        path = _root(source.path)
        bootstrap_project(path)
        logs_to_stderr()
        project = Project.load(
            path,
            env=source.env,
            pipeline_name=source.pipeline,
            runtime_params=assignment.runtime_params,
            conf_source=source.conf_source,
            configuration=ConfigurationSnapshot(assignment.configuration),
        )
        _loaded.clear()
        _loaded[source] = project
    return _loaded[source]


def _root(path: str) -> Path:
    """The project's root here: where the driver has it, else the folder the worker runs in.

    Raises:
        ConfigurationError: It is in neither place.
    """
    for folder in (Path(path), Path.cwd()):
        if (folder / "pyproject.toml").is_file():
            return folder
    raise ConfigurationError(
        f"the worker finds no Kedro project in {path} or in its own folder {Path.cwd()}",
        remedy="Start the worker in the folder of the project.",
    )


def _check_parts(project: Project, parts: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse to compute with other code or data than the driver plans with.

    Raises:
        ConfigurationError: Something differs.
    """
    own = project.fixed_parts
    doubts = Doubts(project.store, project.settings.cache)  # one side may know it earlier
    doubted = {node.name for node in project.pipeline.nodes if doubts.of(node)}
    differs = [
        f"{part} of {name}"
        for name, expected in parts.items()
        if name not in doubted
        for part in sorted({*expected, *own.get(name, {})})
        if own.get(name, {}).get(part) != expected.get(part)
    ]
    if differs or own.keys() != parts.keys():
        what = ", ".join(differs[:5]) or "the nodes of the pipeline"
        raise ConfigurationError(
            f"a worker (process {os.getpid()}) differs from this machine in {what}",
            remedy="Bring the same code, libraries and data to all workers and restart them: a "
            "running one does not see edits of code.",
        )
