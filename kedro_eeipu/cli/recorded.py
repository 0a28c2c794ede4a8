"""What the commands that look at a study share: its trials, and how they compare with today."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import warn
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.project.selection import Selection

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.fast_read import RecordedStudy
    from kedro_eeipu.study.gain import Gain
    from kedro_eeipu.study.records import TrialRecord
    from kedro_eeipu.study.storage import TrialStudy

__all__ = [
    "any_state_option",
    "apply_command",
    "changes_since",
    "complete_trial",
    "confirm_command",
    "gain_over_defaults",
    "load_adopted",
    "recorded_study",
    "trials_command",
    "verdict",
]

any_state_option = click.option(
    "--any-state",
    is_flag=True,
    help="Also consider trials from before an edit.",
)


def recorded_study(selection: Selection) -> RecordedStudy:
    """The trials of a study, which may be of a pipeline that no longer loads."""
    from kedro_eeipu.config.opening import study_storage
    from kedro_eeipu.config.redaction import Redactor
    from kedro_eeipu.study.fast_read import read_study

    context, settings = selection.open_settings()
    storage, name = study_storage(context, settings), selection.study_name
    recorded = read_study(storage, name)
    if recorded is None:
        from kedro_eeipu.study.shelf import read_any_study

        recorded = read_any_study(storage, name)
    redactor = Redactor.of(context)  # what an earlier version recorded may hold secrets
    trials = [t.redacted(redactor.text, redactor.value) for t in recorded.trials]
    return replace(recorded, trials=trials)


def changes_since(recorded: RecordedStudy, selection: Selection) -> list[tuple[str, ...] | None]:
    """What has changed since each trial that its value depends on.

    ``None`` if that is unknown, because the pipeline does not load.
    """
    from kedro_eeipu.study.pipeline_state import Comparison

    latest = next((t for t in reversed(recorded.trials) if t.pipeline_state), None)
    try:
        project, withheld = (
            (selection.load_project(), []) if latest is None else selection.load_like(latest)
        )
        now = project.state
    except Exception as error:  # importing a pipeline may raise anything
        warn(
            [
                f"trials from before an edit are not marked, because the project does not load: "
                f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            ]
        )
        return [None] * len(recorded.trials)
    comparison = Comparison(now, lambda: recorded.states, withheld)
    return [comparison.changes(t) for t in recorded.trials]


def complete_trial(
    study: TrialStudy, number: int | None, *, any_state: bool = False
) -> TrialRecord:
    """The trial with this number, or the best one.

    Args:
        study: The study.
        number: The trial, ``None`` for the best.
        any_state: Whether the best may be of another state of the pipeline than today's.

    Raises:
        ConfigurationError: There is none, or it has no value.
    """
    if number is None:
        best = study.best(any_state=any_state)
        if best is None:
            remedy = _other_best(study)
            of_today = " of today's pipeline" if remedy else ""
            raise ConfigurationError(
                f"study '{study.name}' has no complete trial{of_today} yet", remedy=remedy
            )
        return best
    trials = study.trials()
    if not 0 <= number < len(trials) or trials[number].value is None:
        raise ConfigurationError(
            f"study '{study.name}' has no complete trial {number}",
            remedy="`kedro eeipu trials` lists them.",
        )
    return trials[number]


def _other_best(study: TrialStudy) -> str:
    """What to do where all complete trials are from before an edit; empty where there are none."""
    from kedro_eeipu.study.pipeline_state import in_few_words

    best = study.best(any_state=True)
    if best is None:
        return ""
    return (
        f"Since trial {best.number}, the best so far, these have changed: "
        f"{in_few_words(study.changes(best))}. `kedro eeipu tune` tries it again, most of it from "
        "the cache; --any-state takes it as it was."
    )


def load_adopted(
    selection: Selection,
    number: int | None,
    *,
    any_state: bool = False,
    env_option: str = "--env",
) -> tuple[Project, TrialStudy, TrialRecord]:
    """A trial, its study, and the project as the trial had it.

    The study tells the trials of today's pipeline from others.

    Args:
        selection: The study; its environment says where the study is, if not the trial's, and its
            parameters are secrets of the trial's own ``--params``, which are not stored.
        number: The trial, ``None`` for the best.
        any_state: Whether the best may be of another state of the pipeline than today's.
        env_option: The option that asks for an environment.

    Raises:
        ConfigurationError: There is no such trial, or the configuration is wrong.
    """
    from kedro_eeipu.config.opening import study_storage
    from kedro_eeipu.study.opening import open_study

    # The project is loaded as the trial had it, so the study is read first.
    storage = study_storage(*replace(selection, params={}).open_settings())
    opened = open_study(storage, selection.study_name)

    def load_as(trial: TrialRecord) -> tuple[Project, list[str]]:
        """The project as a trial had it, and the secrets of the trial that are not known."""
        project, missing = selection.load_as(trial, env_option)
        opened.compare_with(project.state, missing)
        return project, missing

    # The best of today's pipeline, which is loaded as the latest trial had it.
    latest = None if any_state or number is not None else next(reversed(opened.trials()), None)
    if latest is not None:
        project, missing = load_as(latest)
    trial = complete_trial(opened, number, any_state=any_state)
    if latest is None or _given(trial) != _given(latest):
        project, missing = load_as(trial)
    (trial,) = opened.confirmed([trial])
    if missing:
        warn(
            [
                f"trial {trial.number} was given --params {', '.join(missing)}, which is not "
                "stored because it is named like a secret. `kedro run` needs it again."
            ]
        )
    return project, opened, trial


def _given(trial: TrialRecord) -> tuple[Any, ...]:
    return trial.env, trial.runtime_params, trial.pipeline


def gain_over_defaults(project: Project, study: TrialStudy, best: TrialRecord) -> Gain:
    """A trial beside the project's own values.

    Args:
        project: The project.
        study: Its study.
        best: The trial.
    """
    from kedro_eeipu.study.gain import gain_of

    trials = study.confirmed(study.current())
    (best,) = study.confirmed([best])
    gain = gain_of(trials, project.space, study.maximize, best)
    assert gain is not None
    return gain


def confirm_command(project: Project, study: TrialStudy, number: int | None = None) -> str:
    """What is typed to confirm a trial.

    Args:
        project: The project.
        study: Its study.
        number: The trial, ``None`` for the best.
    """
    words = ["kedro eeipu confirm"]
    if number is not None:
        words.append(f"--trial {number}")
    words += _naming(project, study)
    if project.env is not None:
        words.append(f"--env {shlex.quote(project.env)}")
    return " ".join(words)


def apply_command(project: Project, study: TrialStudy) -> str:
    """What is typed to adopt the best trial of a study."""
    return " ".join(["kedro eeipu apply --best", *_naming(project, study)])


def trials_command(project: Project, study: TrialStudy) -> str:
    """What is typed to list the trials of a study."""
    return " ".join(["kedro eeipu trials", *_naming(project, study)])


def _naming(project: Project, study: TrialStudy) -> list[str]:
    """The options that name the pipeline and the study, where they are not the default ones."""
    words = []
    if project.pipeline_name != "__default__":
        words.append(f"--pipeline {shlex.quote(project.pipeline_name)}")
    if study.name != Selection(project.path, pipeline=project.pipeline_name).study_name:
        words.append(f"--study {shlex.quote(study.name)}")
    return words


def verdict(trial: TrialRecord, command: str) -> str:
    """Whether a trial is confirmed, in a sentence.

    Args:
        trial: The trial.
        command: What confirms it.
    """
    if trial.confirmation is None:
        return f"Trial {trial.number} is not confirmed yet: `{command}` runs it without the cache."
    return f"Trial {trial.number} is {trial.confirmation.words}."
