"""The MLflow run of a trial: its name, its tags, and the datasets that log into it.

kedro-mlflow opens it. Without kedro-mlflow it is opened here, if ``eeipu.yml`` says
``mlflow: true``; MLflow is not imported for anything else.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import logging
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kedro.io import AbstractDataset, CatalogProtocol

from kedro_eeipu._kedro import copy_in_folder, file_path, protocol, wrapped_dataset
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks.dataset import warn_once

__all__ = [
    "RERUN_TAG",
    "RUN_TAG",
    "STUDY_TAG",
    "MlflowRun",
    "active_mlflow_run",
    "end_mlflow_runs",
    "mlflow_errors",
    "unopened_store",
]

STUDY_TAG = "eeipu.study"
RUN_TAG = "eeipu.run_id"  # Kedro's id of the run, which no other trial of any study has
RERUN_TAG = "eeipu.rerun_of"
_TRIAL_TAG = "eeipu.trial"
_STATE_TAG = "eeipu.state"
_METRICS, _ARTIFACTS = "kedro_mlflow.io.metrics", "kedro_mlflow.io.artifacts"

logger = logging.getLogger(__name__)


@dataclass
class MlflowRun:
    """The MLflow run of a trial, or of its confirmation; nothing where MLflow is not in use.

    It travels to workers before it begins.

    Attributes:
        study: Name of the study.
        trial: Number of the trial.
        state: Digest of the state of the pipeline.
        is_rerun: Whether the trial runs once more, to be confirmed.
        experiment: Where its run is opened if kedro-mlflow opens none; empty for no run then.
        run_id: MLflow's id of the run, ``None`` where there is none.
        metrics: Copies of the catalog's metric datasets by name; they log into this run.
        artifacts: The same for those that write a local file and log it.
    """

    study: str
    trial: int
    state: str = ""
    is_rerun: bool = False
    experiment: str = ""
    run_id: str | None = None
    metrics: dict[str, AbstractDataset[Any, Any]] = field(default_factory=dict)
    artifacts: dict[str, AbstractDataset[Any, Any]] = field(default_factory=dict)
    _in_use: bool = False
    _outer: str | None = None

    def announce(self, context: Any) -> None:
        """Name the run that kedro-mlflow is about to open, and let it be a new one.

        Args:
            context: The context of the run; kedro-mlflow has left its configuration there.
        """
        configuration = getattr(context, "mlflow", None)
        if configuration is None:
            return
        self._in_use, self._outer = True, active_mlflow_run()
        if self._outer is not None:
            # kedro-mlflow logs into the run that is open: let that be one of the trial's own.
            self._open()
            return
        options = configuration.tracking.run
        if options.id is not None:
            warn_once(
                "%s names the run %s (tracking: run: id). MLflow allows one value for each "
                "parameter of a run, so trials get runs of their own.",
                "mlflow.yml",
                options.id,
            )
            options.id = None
        options.name = self._name(options.name)

    def _name(self, given: str | None = None) -> str:
        return f"{given or self.study} #{self.trial}{', once more' if self.is_rerun else ''}"

    def _open(self) -> None:
        """Open the run, as a child of one that is open."""
        with mlflow_errors():
            mlflow: Any = importlib.import_module("mlflow")
            if self._outer is None:
                mlflow.set_experiment(self.experiment)
            mlflow.start_run(run_name=self._name(), nested=self._outer is not None)

    def begin(self, run_id: str, catalog: CatalogProtocol[Any, Any], names: Iterable[str]) -> None:
        """Note the run that kedro-mlflow has opened, or open one, and tag it.

        Args:
            run_id: Kedro's id of the run.
            catalog: The catalog of the run, with the user's own datasets.
            names: Datasets that the run produces.
        """
        if not self._in_use and self.experiment:
            self._in_use, self._outer = True, active_mlflow_run()
            self._open()
        active = active_mlflow_run() if self._in_use else None
        if active is None or active == self._outer:
            return
        self.run_id = active
        number = str(self.trial)
        numbered = {RERUN_TAG: number} if self.is_rerun else {_TRIAL_TAG: number, RUN_TAG: run_id}
        with mlflow_errors():
            tags = {STUDY_TAG: self.study, _STATE_TAG: self.state, **numbered}
            sys.modules["mlflow"].set_tags({k: v for k, v in tags.items() if v})
        for name in names:
            dataset = catalog.get(name) if name in catalog else None
            if dataset is None:
                continue
            dataset = wrapped_dataset(dataset)
            if any(c.__module__.startswith(_METRICS) for c in type(dataset).__mro__):
                self.metrics[name] = self._private(name, dataset, getattr(dataset, "_run_id", None))
            elif _logs_file(dataset):
                self.artifacts[name] = self._private(name, dataset, getattr(dataset, "run_id", ""))

    def log(self, name: str, value: Any) -> None:
        """Log what a node returned, if the catalog declares it as a metric or an artifact."""
        with mlflow_errors():
            if name in self.metrics:
                self.metrics[name].save(value)
            elif name in self.artifacts:
                # The user's own file stays as it is.
                with tempfile.TemporaryDirectory() as folder:
                    copy_in_folder(self.artifacts[name], folder).save(value)

    def _private(
        self, name: str, dataset: AbstractDataset[Any, Any], fixed: str | None
    ) -> AbstractDataset[Any, Any]:
        """A copy of a dataset that logs into this run, not into one that the catalog fixes."""
        private: Any = copy.copy(dataset)
        if fixed:
            warn_once(
                "'%s' names the run %s in the catalog. Trials log it into their own runs.",
                name,
                fixed,
            )
        private.run_id = self.run_id
        return private


def _logs_file(dataset: AbstractDataset[Any, Any]) -> bool:
    """Whether it writes one local file and logs that; a kind of the project's may write others."""
    logs, kind = type(dataset).__mro__[:2]
    return (
        logs.__module__.startswith(_ARTIFACTS)
        and kind.__module__.startswith("kedro_datasets.")
        and file_path(dataset) != ""
        and protocol(dataset) in ("", "file")
    )


def active_mlflow_run() -> str | None:
    """Id of the MLflow run that is open in this process, if MLflow is in use at all."""
    mlflow: Any = sys.modules.get("mlflow")
    run = None if mlflow is None else mlflow.active_run()
    return None if run is None else str(run.info.run_id)


def end_mlflow_runs(outer: str | None) -> None:
    """End the MLflow runs that a trial has left open, up to the one that was open before it.

    kedro-mlflow leaves its run open when asked to nest, and always when interrupted; the next trial
    would then log into it.
    """
    while active_mlflow_run() not in (None, outer):
        sys.modules["mlflow"].end_run()


@contextlib.contextmanager
def mlflow_errors() -> Iterator[None]:
    """Inside, MLflow is written to: a store that fails is warned of, and ends no trial."""
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines()
        warn_once(
            "%s did not get everything of a trial: %s", "MLflow", lines[0] if lines else repr(error)
        )


def unopened_store(error: Exception, where: str) -> ConfigurationError:
    """What MLflow raises because of its store, in words that say what to do.

    Args:
        error: An ``MlflowException``.
        where: The file that names the store.
    """
    if "MLFLOW_ALLOW_FILE_STORE" not in str(error):
        problem = f"MLflow cannot open its store: {str(error).strip().splitlines()[0]}"
        return ConfigurationError(problem, where=where, remedy="Check the tracking URI.")
    return ConfigurationError(
        "MLflow 3 keeps no runs in a folder such as mlruns unless that is allowed",
        where=where,
        remedy="Write `server: {mlflow_tracking_uri: 'sqlite:///mlflow.db'}` into "
        "conf/base/mlflow.yml, or set MLFLOW_ALLOW_FILE_STORE=true."
        if where == "mlflow.yml"
        else "Set MLFLOW_TRACKING_URI=sqlite:///mlflow.db or MLFLOW_ALLOW_FILE_STORE=true.",
    )
