"""The database of a study."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable
from typing import Any

import optuna
import sqlalchemy.event
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from kedro_eeipu.study.heartbeat import GRACE_SECONDS, INTERVAL_SECONDS

__all__ = ["open_database"]

_ATTEMPTS = 10


def open_database(url: str) -> BaseStorage:
    """Open a database as Optuna's storage; its tables are made when they are not there."""
    if not url.startswith("sqlite:"):
        return _retried(lambda: _server_storage(url))
    storage = _retried(lambda: optuna.storages.get_storage(url))
    sqlite: Any = getattr(storage, "_backend", storage)

    @sqlalchemy.event.listens_for(sqlite.engine, "connect")
    def lighten(connection: Any, _: Any) -> None:
        # A trial commits about ten times. A write-ahead log survives a killed process as the
        # default does, without waiting for the disk at every commit.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    sqlite.engine.dispose()
    return storage


def _retried(make: Callable[[], BaseStorage]) -> BaseStorage:
    """Open a storage whose tables another process may be making at the same moment."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return make()
        except (IntegrityError, ProgrammingError, OperationalError) as error:
            if isinstance(error, OperationalError) and "already exists" not in str(error):
                raise
            time.sleep(random.uniform(0.2, 1.0))
    return make()


def _server_storage(url: str) -> BaseStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of the heartbeat
        backend = RDBStorage(
            url,
            engine_kwargs={"pool_pre_ping": True},
            heartbeat_interval=INTERVAL_SECONDS,
            grace_period=GRACE_SECONDS,
        )
    return optuna.storages.get_storage(backend)
