"""Opening the study of a project, and making it."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from sqlalchemy.exc import SQLAlchemyError

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.study.checks import check_objective, check_ranges
from kedro_eeipu.study.database import open_database
from kedro_eeipu.study.database_wait import StudyFile, file_of
from kedro_eeipu.study.frozen import name_metric
from kedro_eeipu.study.storage import TrialStudy

__all__ = ["open_study", "unopened"]

# What drivers say of a server that does not answer.
_UNREACHABLE = ("refused", "timeout", "timed out", "resolve", "translate host", "Can't connect")


def open_study(
    storage: str,
    name: str,
    space: SearchSpace | None = None,
    *,
    create: bool = False,
) -> TrialStudy:
    """Open a study, or make it.

    Args:
        storage: Database URL.
        name: The study's name.
        space: What is searched; checked against what the study has searched so far.
        create: Whether a study that is not there yet is made.

    Raises:
        ConfigurationError: The study is not there, it optimises something else, or a range has
            changed in a way that its trials cannot be compared with.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = file_of(storage)
    if file is not None and not create and not file.exists():
        raise _no_study(name, [])
    waiting = StudyFile(file)
    try:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        opened = waiting.wait(lambda: open_database(storage))
    except (SQLAlchemyError, StorageInternalError, ValueError, OSError, ImportError) as error:
        raise unopened(storage, error) from None
    try:
        study = waiting.wait(lambda: _optuna_study(opened, name, space, create))
    except (SQLAlchemyError, StorageInternalError) as error:
        raise unopened(storage, error) from None
    return TrialStudy(study, shared=not storage.startswith("sqlite:"), file=StudyFile(file))


def unopened(storage: str, error: Exception) -> ConfigurationError:
    """What to say of a storage that cannot be opened.

    Args:
        storage: Database URL.
        error: What was raised.
    """
    if isinstance(error, ImportError):
        return ConfigurationError(
            f"the library for the study's storage is missing: {error}",
            where="eeipu.yml: study.storage",
            remedy="For PostgreSQL: pip install 'kedro-eeipu[postgresql]'.",
        )
    cause = error.__cause__ if isinstance(error, StorageInternalError) else None
    reason = (str(cause or error).splitlines() or [type(error).__name__])[0]
    file = file_of(storage)
    if file is not None:
        is_other = "not a database" in reason or "malformed" in reason
        return ConfigurationError(
            f"the study's file {file} cannot be opened: {reason}",
            remedy="Move it away, or name another file in eeipu.yml under study.storage."
            if is_other
            else "Check that the disk is not full and that the file and its folder are writable.",
        )
    if any(word in reason for word in _UNREACHABLE):
        remedy = "Check that the server runs, and that host and port are right."
    else:
        remedy = (
            "Write a database URL, for example postgresql://host/database, and name an entry of "
            "credentials.yml with `username` and `password` in study.credentials."
        )
    return ConfigurationError(
        f"the study's storage cannot be opened: {reason}",
        where="eeipu.yml: study.storage",
        remedy=remedy,
    )


def _optuna_study(
    storage: BaseStorage, name: str, space: SearchSpace | None, create: bool
) -> optuna.Study:
    try:
        if create and space is not None:
            study = optuna.create_study(
                storage=storage,
                study_name=name,
                direction=StudyDirection[space.objective.direction.upper()],
                load_if_exists=True,
            )
            name_metric(study, space)
        else:
            study = optuna.load_study(storage=storage, study_name=name)
    except KeyError:
        raise _no_study(name, optuna.get_all_study_names(storage)) from None
    if space is not None:
        check_objective(study, space)
        check_ranges(study, space)
    return study


def _no_study(name: str, names: Sequence[str]) -> ConfigurationError:
    there = f"There is: {', '.join(names)}." if names else "Run `kedro eeipu tune` first."
    return ConfigurationError(f"there is no study '{name}' yet", remedy=there)
