"""Who drives a study: one process where the storage bears no more, and which have ended."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError

from kedro_eeipu import processes
from kedro_eeipu.errors import ConfigurationError, StudyStopped

__all__ = ["beginning_alone", "check_name", "driver_ended", "only_driver"]

_LONGEST_NAME = 200  # a file's may have 255, and ours has an ending
_LOCK = 0x6565_6970  # "eeip": advisory locks of a database are shared by all that use it


def check_name(storage: str, study: str) -> None:
    """Refuse a name that a new study cannot have: of one in SQLite, a lock file is named after it.

    Raises:
        ConfigurationError: It is blank, or no name of a file.
    """
    in_file = storage.startswith("sqlite:")
    if not study.strip():
        problem = "a study needs a name"
    elif in_file and re.search(r"[/\\\x00-\x1f\x7f]", study):
        problem = f"a study cannot be called {study!r}"
    elif in_file and len(study.encode()) > _LONGEST_NAME:
        problem = (
            f"the name of a study may be {_LONGEST_NAME} bytes long, not {len(study.encode())}"
        )
    else:
        return
    remedy = "Use letters, digits, '-', '_', '.' and spaces, for example --study wide-ranges."
    raise ConfigurationError(problem, where="--study", remedy=remedy)


@contextmanager
def only_driver(storage: str, study: str) -> Iterator[None]:
    """Hold a study in SQLite for one driver; a killed process lets go by itself.

    SQLite gives one waiting trial to two askers. A study on a database server needs no lock.

    Raises:
        ConfigurationError: Another process drives the study, or it has no name that one can have.
        StudyStopped: The storage failed in the meantime.
    """
    check_name(storage, study)
    try:
        if storage.startswith("sqlite:///"):
            file = Path(storage.removeprefix("sqlite:///"))
            with _locked(file.with_name(f"{study}.lock"), study):
                yield
        else:
            yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise StudyStopped(
            f"the study's storage failed: {str(error.__cause__ or error).splitlines()[0]}\n"
            "What was recorded is kept; the same command resumes when it is back."
        ) from None


@contextmanager
def beginning_alone(study: optuna.Study) -> Iterator[None]:
    """Keep other drivers of a study on a server from beginning a trial meanwhile.

    By a lock of PostgreSQL, which a lost connection gives up; other databases have none that we
    know, and a limit on trials may be overrun there by one for each driver.
    """
    backend: Any = getattr(study._storage, "_backend", study._storage)
    if backend.engine.dialect.name != "postgresql":
        yield
        return
    with backend.engine.connect() as connection, connection.begin():
        # Of this study: numbers of studies are small, and the first key is the plugin's own.
        key = {"plugin": _LOCK, "study": study._study_id}
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:plugin, :study)"), key)
        yield


@contextmanager
def _locked(lock: Path, study: str) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    driver, pid = lock.with_suffix(".pid"), ""  # on Windows, nobody else can read a locked file
    try:
        with FileLock(lock, timeout=0):
            driver.write_text(str(os.getpid()))
            yield
    except Timeout:
        with contextlib.suppress(OSError):
            pid = driver.read_text()
        raise ConfigurationError(
            f"study '{study}' is being tuned by process {pid or 'unknown'}",
            remedy="Wait for it or stop it, or name another study with --study. One command "
            "runs several trials at a time with --workers; several commands can share a "
            "study in PostgreSQL (study.storage in eeipu.yml).",
        ) from None


def driver_ended(trial: FrozenTrial) -> bool:
    """Whether the process that ran a trial on this machine is no more."""
    run = trial.user_attrs.get("run", {})
    pid, on = int(run.get("pid", 0)), run.get("machine", "")
    if not on and run.get("host") == socket.gethostname():  # recorded before machines were
        on = processes.machine()
    # A process before us may have had our number.
    ours = on == processes.machine() and pid == os.getpid()
    return ours or processes.has_ended(on, pid)
