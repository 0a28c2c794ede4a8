"""Measure the best trial and the defaults on data that the search never sees.

They run again through the cache, with the nodes that the held out value needs. This is no trial
of the study, and the sampler is never shown the value.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from kedro.io.core import generate_timestamp
from kedro.runner import AbstractRunner, SequentialRunner

from kedro_eeipu.errors import ConfigurationError, error_text
from kedro_eeipu.hooks.mlflow import MlflowRun
from kedro_eeipu.project.project import Project
from kedro_eeipu.study.holdout import HeldOut
from kedro_eeipu.study.records import TrialRecord, with_defaults
from kedro_eeipu.study.storage import TrialStudy
from kedro_eeipu.tuning.mlflow_runs import experiment_of

__all__ = ["measure_holdout", "unmeasured"]


def unmeasured(
    project: Project, study: TrialStudy, best: TrialRecord, *, again: bool = False
) -> list[TrialRecord]:
    """The best trial and the one with the defaults, where a held out value is declared.

    Args:
        project: The project.
        study: Its study.
        best: The best trial.
        again: Whether they are measured again if their held out values are known.
    """
    if project.space.holdout is None:
        return []
    trials = [best, with_defaults(study.current(), project.space, best)]
    different = {t.number: t for t in trials if t is not None}
    confirmed = study.confirmed(list(different.values()))
    of = str(project.space.holdout)
    return [t for t in confirmed if again or t.holdout is None or t.holdout.of != of]


def measure_holdout(
    project: Project,
    study: TrialStudy,
    trials: Iterable[TrialRecord],
    runner: AbstractRunner | None = None,
) -> None:
    """Run trials again with what the held out value needs, and record it.

    Args:
        project: Loaded with the environment and the runtime parameters of the trials.
        study: The study.
        trials: Complete trials of it.
        runner: Kedro's runner for the nodes.

    Raises:
        ConfigurationError: The held out value is not where the block says.
        KeyboardInterrupt: Stopped by the user; nothing is recorded of that trial.
    """
    with project.quiet():
        for trial in trials:
            study.hold_out(trial.number, _measured(project, study, trial, runner))


def _measured(
    project: Project, study: TrialStudy, trial: TrialRecord, runner: AbstractRunner | None
) -> HeldOut:
    holdout = project.space.holdout
    assert holdout is not None
    run_id = f"{generate_timestamp()}-{uuid.uuid4().hex[:8]}"
    run = project.new_run(run_id, {"study": study.name, "trial": trial.number}, holdout=True)
    run.mlflow = MlflowRun(
        study.name,
        trial.number,
        project.state.digest,
        is_rerun=True,
        experiment=experiment_of(project),
    )
    try:
        project.execute(run, trial.params, runner or SequentialRunner())
        assert run.plan is not None
        datasets = {**run.plan.datasets, **run.plan.streamed}
        return HeldOut(str(holdout), holdout.read(datasets[holdout.dataset].load()))
    except (KeyboardInterrupt, ConfigurationError):
        raise
    except BaseException as raised:  # a node may raise anything
        return HeldOut(str(holdout), error=project.redactor.text(error_text(raised)))
    finally:
        run.directory.remove()
