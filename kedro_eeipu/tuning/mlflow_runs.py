"""What the MLflow run of a trial says about it, where MLflow is in use.

The process that runs a trial logs it. The tuning process tags the best one and those that ran once
more, and closes the runs of trials whose process has ended.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kedro.framework import project as kedro_project

from kedro_eeipu._kedro import hook_manager
from kedro_eeipu.cache.store.store import CacheMiss
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks.dataset import MemoizedDataset
from kedro_eeipu.hooks.mlflow import RUN_TAG, STUDY_TAG, MlflowRun, mlflow_errors, unopened_store
from kedro_eeipu.hooks.run import PlannedRun
from kedro_eeipu.project.project import Project
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import NodeRecord

if TYPE_CHECKING:
    from kedro_eeipu.study.storage import TrialStudy

__all__ = [
    "check_mlflow",
    "close_lost_run",
    "experiment_of",
    "log_outcome",
    "log_trial",
    "tag_best",
    "tag_confirmed",
]

_BEST_TAG = "eeipu.best"
_CONFIRMED_TAG = "eeipu.confirmed"
_ARTIFACTS_TAG = "eeipu.artifacts_of"
_LONGEST_VALUE = 500  # characters, which every version of MLflow takes
_MOST_PARAMETERS = 100  # that MLflow takes at a time
# As MLflow's own storage for Optuna has it, in which a pruned trial is KILLED.
_KILLED, _FAILED = "KILLED", "FAILED"


def log_trial(
    run: PlannedRun,
    params: Mapping[str, Any],
    nodes: Sequence[NodeRecord],
    *,
    value: float | None,
    was_stopped: bool,
) -> None:
    """Log how a trial ended, and what its nodes returned for metric and artifact datasets.

    Args:
        run: The run of the trial, while its directory is there.
        params: Its values by dotted path.
        nodes: What happened to its nodes.
        value: The objective, ``None`` if there is none.
        was_stopped: Whether it was pruned or interrupted, so that it has not failed.
    """
    if run.mlflow is None or run.mlflow.run_id is None or run.plan is None:
        return
    makers: dict[str, str] = {}
    for node in nodes:
        for name in run.plan.actions[node.name].outputs if node.has_outputs else ():
            if name in run.mlflow.artifacts and node.status == NodeState.REUSED:
                makers[name] = _maker(run, node)
            elif name in run.mlflow.metrics or name in run.mlflow.artifacts:
                _log_output(run.mlflow, run.plan.datasets[name])
    if makers:
        with mlflow_errors():
            client: Any = sys.modules["mlflow"].MlflowClient()
            listed = ", ".join(f"{name}: {maker}" for name, maker in makers.items())
            client.set_tag(run.mlflow.run_id, _ARTIFACTS_TAG, listed)
    cost, saved = sum(n.seconds for n in nodes), sum(n.saved for n in nodes)
    run_id = run.mlflow.run_id
    log_outcome(run_id, params, value, cost=cost, saved=saved, was_stopped=was_stopped)


def _log_output(run: MlflowRun, dataset: MemoizedDataset) -> None:
    with mlflow_errors():
        try:
            value = dataset.recorded_value()
        except CacheMiss:  # of a reused node: nobody else has asked for it
            return
        run.log(dataset.name, value)


def _maker(run: PlannedRun, node: NodeRecord) -> str:
    """The run of the trial that has made what a node reuses."""
    record = run.planner.store.get(node.key) if node.key else None
    meta = {} if record is None else record.meta
    return f"{meta['study']} #{meta['trial']}" if "trial" in meta else "no trial"


def log_outcome(
    run_id: str | None,
    params: Mapping[str, Any],
    value: float | None,
    *,
    cost: float,
    saved: float = 0.0,
    was_stopped: bool = False,
) -> None:
    """Log the objective, the costs and the tuned values of a trial, and close its run.

    Args:
        run_id: MLflow's id of its run, ``None`` where there is none.
        params: Its values by dotted path.
        value: The objective, ``None`` if there is none.
        cost: Seconds of its nodes.
        saved: Seconds that its reused nodes would have cost.
        was_stopped: Whether it was pruned or interrupted.
    """
    if run_id is None:
        return
    mlflow: Any = sys.modules["mlflow"]
    client, entities = mlflow.MlflowClient(), mlflow.entities
    numbers = {
        "eeipu.objective": value,
        "eeipu.cost_seconds": round(cost, 6),
        "eeipu.saved_seconds": round(saved, 6),
    }
    now = int(time.time() * 1000)
    logged = [entities.Metric(k, v, now, 0) for k, v in numbers.items() if v is not None]
    with mlflow_errors():
        # kedro-mlflow has logged what nodes take; of a parameter MLflow refuses a second value.
        there = client.get_run(run_id).data.params
        flat = {re.sub(r"[^/\w.\- ]", "_", path): v for path, v in params.items()}
        rows = [
            entities.Param(k, str(v)[:_LONGEST_VALUE]) for k, v in flat.items() if k not in there
        ]
        client.log_batch(run_id, metrics=logged, params=rows[:_MOST_PARAMETERS])
        for i in range(_MOST_PARAMETERS, len(rows), _MOST_PARAMETERS):
            client.log_batch(run_id, params=rows[i : i + _MOST_PARAMETERS])
    if value is None:
        with mlflow_errors():
            client.set_terminated(run_id, _KILLED if was_stopped else _FAILED)


def tag_best(project: Project, study: TrialStudy) -> None:
    """Tag the run of a study's best trial, and no other of that study."""
    with mlflow_errors():
        if not _is_in_use(project) or (best := study.best()) is None:
            return
        client = sys.modules["mlflow"].MlflowClient()
        for run in _runs(**{_BEST_TAG: "true", STUDY_TAG: study.name}):
            if run.data.tags.get(RUN_TAG) != best.run_id:
                client.delete_tag(run.info.run_id, _BEST_TAG)
        for run in _runs(**{RUN_TAG: best.run_id}):
            client.set_tag(run.info.run_id, _BEST_TAG, "true")


def tag_confirmed(project: Project, run_id: str, *, confirmed: bool) -> None:
    """Tag the run of a trial that ran once more with the result.

    Args:
        project: The project.
        run_id: Kedro's id of the trial's run.
        confirmed: Whether its objective was the same.
    """
    with mlflow_errors():
        if _is_in_use(project):
            client = sys.modules["mlflow"].MlflowClient()
            for run in _runs(**{RUN_TAG: run_id}):
                client.set_tag(run.info.run_id, _CONFIRMED_TAG, str(confirmed).lower())


def close_lost_run(
    project: Project,
    run_id: str,
    params: Mapping[str, Any],
    nodes: Sequence[NodeRecord],
    *,
    was_stopped: bool,
) -> None:
    """Close the run of a trial whose process has ended, which MLflow takes for running still.

    Args:
        project: The project.
        run_id: Kedro's id of the run.
        params: The trial's values by dotted path.
        nodes: The nodes that it had begun.
        was_stopped: Whether it is to be tried again.
    """
    with mlflow_errors():
        if not _is_in_use(project):
            return
        cost, saved = sum(n.seconds for n in nodes), sum(n.saved for n in nodes)
        for run in _runs(**{RUN_TAG: run_id}):
            if run.info.status == "RUNNING":
                log_outcome(
                    run.info.run_id, params, None, cost=cost, saved=saved, was_stopped=was_stopped
                )


def _is_in_use(project: Project) -> bool:
    """Whether trials of this project are MLflow runs; MLflow is ready to be asked then."""
    if _logs_by_plugin(project):
        return True
    if project.settings.mlflow:
        importlib.import_module("mlflow").set_experiment(experiment_of(project))
    return project.settings.mlflow


def _logs_by_plugin(project: Project) -> bool:
    """Whether kedro-mlflow logs what this project runs."""
    plugins = hook_manager(project.session).get_plugins()
    return any(type(p).__module__.partition(".")[0] == "kedro_mlflow" for p in plugins)


def experiment_of(project: Project) -> str:
    """The experiment of trials where kedro-mlflow opens none: that of the project's package."""
    if not project.settings.mlflow:
        return ""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or str(kedro_project.PACKAGE_NAME)


def check_mlflow(project: Project) -> None:
    """Import MLflow if ``eeipu.yml`` asks for it.

    Raises:
        ConfigurationError: It is not installed, or cannot open its store.
    """
    try:
        _is_in_use(project)
    except ImportError:
        raise ConfigurationError(
            "MLflow is not installed",
            where="eeipu.yml: mlflow",
            remedy="pip install mlflow, or write `mlflow: false`.",
        ) from None
    except Exception as error:
        if type(error).__name__ != "MlflowException":
            raise
        raise unopened_store(error, "eeipu.yml: mlflow") from None


def _runs(**tags: str) -> Iterator[Any]:
    """The runs of the project's experiment with these tags."""
    query = " and ".join(f"tags.`{k}` = {_quoted(v)}" for k, v in tags.items())
    mlflow: Any = sys.modules["mlflow"]
    outer = mlflow.active_run()
    # By default of the experiment that was set.
    where = None if outer is None else [outer.info.experiment_id]
    yield from mlflow.search_runs(where, filter_string=query, output_format="list")


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"
