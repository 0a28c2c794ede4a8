"""What Optuna keeps of a study and its trials, as this plugin reads and names it."""

from __future__ import annotations

import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from kedro_eeipu.search import SearchSpace
from kedro_eeipu.study.records import TrialRecord

__all__ = ["name_metric", "record_of"]


def record_of(trial: FrozenTrial) -> TrialRecord:
    """The record of a trial."""
    return TrialRecord.stored(
        trial.number,
        trial.state.name,
        dict(trial.params),
        trial.value if trial.state == TrialState.COMPLETE else None,
        trial.user_attrs,
        (trial.datetime_start, trial.datetime_complete),
        dict(trial.intermediate_values),
    )


def name_metric(study: optuna.Study, space: SearchSpace) -> None:
    """Name the objective, which Optuna's dashboard would call ``Objective 0``."""
    if not study.metric_names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([str(space.objective)])
