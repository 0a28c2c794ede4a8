"""A trial run once more, in this process: the one that `confirming` starts.

The process has imported nothing of the project and run none of its nodes, as a plain `kedro run`.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kedro.runner import SequentialRunner

from kedro_eeipu.cache.store.size_limit import SizeLimit
from kedro_eeipu.errors import ConfigurationError, EEIPUError, error_text
from kedro_eeipu.hooks.fresh_run import FreshRun
from kedro_eeipu.hooks.mlflow import MlflowRun
from kedro_eeipu.project.project import Project
from kedro_eeipu.study.confirmation import Confirmation
from kedro_eeipu.study.pipeline_state import Comparison, PipelineState
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.tuning.fresh_process import FreshProject, end_group
from kedro_eeipu.tuning.mlflow_runs import experiment_of, log_outcome

__all__ = ["ANSWER", "FreshTrial", "confirmation", "main"]

ANSWER = "answer.json"


@dataclass(frozen=True)
class FreshTrial:
    """What the process is to run.

    Attributes:
        project: The project.
        study: Name of the study.
        trial: The trial.
        run_id: Kedro's id of the run.
        folder: Its own folder, for the answer and the declared outputs.
        whole: Whether all nodes of the pipeline run.
        states: The states of the pipeline that the study keeps, by digest.
    """

    project: FreshProject
    study: str
    trial: TrialRecord
    run_id: str
    folder: Path
    whole: bool = False
    states: Mapping[str, PipelineState] = field(default_factory=dict)


def main() -> None:
    """Run the trial that is written to this process's input, and write the answer to a file."""
    # Nodes read an empty input. Where the other process ends, so does this one.
    given = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    task: FreshTrial = pickle.load(given)
    threading.Thread(target=_end_with, args=(given,), daemon=True).start()
    if task.project.search_path:
        sys.path[:] = task.project.search_path
    try:
        answer: dict[str, Any] = {"confirmation": confirmation(task).to_json()}
    except EEIPUError as error:
        kind = "configuration" if isinstance(error, ConfigurationError) else "error"
        answer = {kind: str(error)}
    temporary = task.folder / f".{ANSWER}"
    temporary.write_text(json.dumps(answer))
    os.replace(temporary, task.folder / ANSWER)


def _end_with(pipe: IO[bytes]) -> None:
    """End this process and its children once nobody holds the other end of the pipe."""
    pipe.read()
    end_group()


def confirmation(task: FreshTrial) -> Confirmation:
    """Run the trial once more, and compare the result.

    Raises:
        EEIPUError: The project cannot be loaded.
    """
    project = task.project.load()
    run = FreshRun(
        task.run_id,
        task.folder / "data",
        project.store,
        project.space.objective,
        expected={n.name: n.outputs for n in task.trial.nodes},
        nodes=None if task.whole else frozenset(n.name for n in project.pipeline.nodes),
        mlflow=MlflowRun(
            task.study,
            task.trial.number,
            task.trial.pipeline_state,
            is_rerun=True,
            experiment=experiment_of(project),
        ),
    )
    error = ""
    try:
        with project.quiet():
            project.execute(run, task.trial.params, SequentialRunner())
    except EEIPUError:
        raise
    except BaseException as raised:  # a node may raise anything
        where = f"{run.node}: " if run.node else ""
        error = project.redactor.text(f"{where}{error_text(raised)}")
    if run.mlflow is not None:
        value = None if error else run.value
        log_outcome(run.mlflow.run_id, task.trial.params, value, cost=sum(run.seconds.values()))
    return _compared(task, project, run, error or run.problem)


def _compared(task: FreshTrial, project: Project, run: FreshRun, error: str) -> Confirmation:
    """Hold the run against the trial; its outputs are kept if the objective is equal."""
    expected = task.trial.value
    assert expected is not None
    value = None if error else run.value
    close = value is not None and abs(value - expected) <= project.space.tolerance
    confirmed = value is not None and (value == expected or close)
    if confirmed:
        meta = {"study": task.study, "trial": task.trial.number}
        run.keep_outputs(meta, {n.name: n.key for n in task.trial.nodes})
        limit = SizeLimit(project.store, project.settings.cache.max_size)
        limit.written(sum(blob.size for blob in run.kept.values()))
    return Confirmation(
        confirmed,
        expected,
        value,
        differing=tuple(run.differing),
        changed=() if confirmed else _changes(task, project),
        error=error,
        whole=task.whole,
        in_memory=tuple(run.in_memory),
        outputs={n: (b.digest, b.size) for n, b in run.kept.items()} if confirmed else {},
    )


def _changes(task: FreshTrial, project: Project) -> tuple[str, ...]:
    """What was edited since the trial, in words."""
    try:
        return Comparison(project.state, lambda: task.states).changes(task.trial)
    except Exception:  # it only helps to explain
        return ()
