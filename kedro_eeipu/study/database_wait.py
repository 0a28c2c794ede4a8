"""What a study in SQLite goes through while other programs use its file.

Another program may lock the file for a while, or delete it. SQLite then writes on into a file that
has no name any more, and all that is recorded would be lost without a word.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from kedro_eeipu.errors import StudyStopped

__all__ = ["StudyFile", "file_of"]

logger = logging.getLogger(__name__)

_LONGEST_LOCK_SECONDS = 600.0
_SILENT_SECONDS = 2.0
_PAUSE_SECONDS = 0.2
Result = TypeVar("Result")


def file_of(storage: str) -> Path | None:
    """The file of a study in SQLite, ``None`` for one elsewhere."""
    return Path(storage.removeprefix("sqlite:///")) if storage.startswith("sqlite:///") else None


class StudyFile:
    """The file of a study in SQLite, opened at some time.

    Args:
        file: The file; ``None`` for a study elsewhere, which is asked without ado.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._identity = self._identify()
        self._warned = False

    def use(self, operation: Callable[[], Result]) -> Result:
        """Ask for trials that are there, or change them; see `wait`.

        Raises:
            StudyStopped: They are there no more: the file was deleted or replaced.
        """
        try:
            return self.wait(operation)
        except KeyError:
            if self._file is None:
                raise
            raise self._gone("replaced") from None

    def wait(self, operation: Callable[[], Result]) -> Result:
        """Do something with the study, and wait for as long as the file is locked.

        Args:
            operation: What has no effect when it raises, or may be done twice.

        Raises:
            StudyStopped: The file was deleted or replaced.
        """
        if self._file is None:
            return operation()
        deadline = time.monotonic() + _LONGEST_LOCK_SECONDS
        # SQLite and Optuna wait by themselves for a while, and say nothing.
        timer = threading.Timer(_SILENT_SECONDS, self._warn_if_locked)
        timer.daemon = True
        timer.start()
        try:
            while True:
                self.check()
                try:
                    result = operation()
                except (StorageInternalError, OperationalError) as error:
                    self.check()
                    if not is_locked(error) or time.monotonic() > deadline:
                        raise
                    time.sleep(_PAUSE_SECONDS)
                else:
                    self.check()
                    return result
        finally:
            timer.cancel()

    def check(self) -> None:
        """See that the file is still the one that was opened.

        Raises:
            StudyStopped: It is not.
        """
        if self._file is None or self._identity is None:
            return
        now = self._identify()
        if now != self._identity:
            raise self._gone("deleted" if now is None else "replaced")

    def _warn_if_locked(self) -> None:
        if self._warned or self._file is None:
            return
        try:
            with closing(sqlite3.connect(self._file, timeout=0.1)) as connection:
                connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_locked(error):
                self._warned = True
                logger.warning("Another program has locked %s: waiting for it.", self._file)

    def _gone(self, what: str) -> StudyStopped:
        return StudyStopped(
            f"{self._file} was {what} while the study ran, and its trials with it.\n"
            "Put the file back and rerun the same command, or rerun it to start a new study: "
            "finished nodes are kept in the cache."
        )

    def _identify(self) -> tuple[int, int] | None:
        if self._file is None:
            return None
        try:
            status = os.stat(self._file)
        except OSError:
            return None
        return status.st_dev, status.st_ino


def is_locked(error: BaseException) -> bool:
    """Whether SQLite gave up because another program has locked the file."""
    return "database is locked" in f"{error} {error.__cause__}"
