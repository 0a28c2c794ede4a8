"""The studies that a storage holds: their names, what is in each, and deleting one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.database import open_database
from kedro_eeipu.study.database_wait import file_of
from kedro_eeipu.study.driver import only_driver
from kedro_eeipu.study.fast_read import RecordedStudy, read_study
from kedro_eeipu.study.opening import open_study, unopened
from kedro_eeipu.study.records import TrialRecord

__all__ = ["StudySummary", "delete_study", "read_any_study", "study_names", "summary"]


@dataclass(frozen=True)
class StudySummary:
    """What a study holds.

    Attributes:
        name: Its name.
        direction: ``maximize`` or ``minimize``.
        trials: Number of its trials.
        complete: Number of those with a value.
        running: Number of those that have not ended.
        best: The best value of any state of the pipeline, ``None`` without one.
        cost_seconds: Node seconds that it has spent.
        last: When its last trial ended, in seconds since 1970, ``None`` if none has.
    """

    name: str
    direction: str
    trials: int
    complete: int
    running: int
    best: float | None
    cost_seconds: float
    last: float | None


def study_names(storage: str) -> list[str]:
    """Names of all studies of a storage, in order; none where there is no storage yet.

    Raises:
        ConfigurationError: The storage cannot be read.
    """
    file = file_of(storage)
    if file is not None and not file.exists():
        return []
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return sorted(optuna.get_all_study_names(open_database(storage)))
    except (SQLAlchemyError, StorageInternalError, ValueError, OSError, ImportError) as error:
        raise unopened(storage, error) from None


def read_any_study(storage: str, name: str) -> RecordedStudy:
    """All that is recorded of a study, by the fastest way that its storage has.

    Raises:
        ConfigurationError: There is no such study.
    """
    recorded = read_study(storage, name)
    if recorded is not None:
        return recorded
    opened = open_study(storage, name)
    trials = list(opened.confirmed(opened.trials()))
    return RecordedStudy(trials, opened.states.all(), opened.maximize)


def summary(name: str, recorded: RecordedStudy) -> StudySummary:
    """What a study holds, in figures."""
    trials: Sequence[TrialRecord] = recorded.trials
    values = [t.value for t in trials if t.value is not None]
    return StudySummary(
        name=name,
        direction="maximize" if recorded.maximize else "minimize",
        trials=len(trials),
        complete=len(values),
        running=sum(t.state == "running" for t in trials),
        best=(max if recorded.maximize else min)(values, default=None),
        cost_seconds=sum(t.cost for t in trials),
        last=max((t.finished for t in trials if t.finished is not None), default=None),
    )


def delete_study(storage: str, name: str) -> None:
    """Delete a study with its trials; the cache is left as it is.

    Raises:
        ConfigurationError: There is no such study, or somebody tunes it.
    """
    study = open_study(storage, name)
    with only_driver(storage, name):
        ended = {t.number for t in study.orphans()}
        running = [t.number for t in study.trials() if t.state == "running"]
        if study.shared and (alive := [n for n in running if n not in ended]):
            raise ConfigurationError(
                f"trial {alive[0]} of study '{name}' is running", remedy="Wait until it has ended."
            )
        optuna.delete_study(study_name=name, storage=study.optuna._storage)
    file = file_of(storage)
    if file is not None:
        for kind in ("lock", "pid"):
            file.with_name(f"{name}.{kind}").unlink(missing_ok=True)
