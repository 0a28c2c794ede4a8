"""Trials read from SQLite without Optuna, for listings that are not to keep anybody waiting.

Optuna makes five objects of each trial and one more of each of its parameters, which takes seconds
for a thousand trials; its import takes half a second. Its tables have been the same since 3.2, and
are read here only where they say so.
"""

from __future__ import annotations

import gc
import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kedro_eeipu.study.pipeline_state import PipelineState, states_in
from kedro_eeipu.study.records import TrialRecord, with_confirmations

__all__ = ["RecordedStudy", "read_study", "read_trials"]

_TABLES = "v3.2.0.a"
_NOT_FINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf}
_OF_STUDY = "FROM {} AS t JOIN trials USING (trial_id) WHERE study_id = ? ORDER BY t.rowid"


@dataclass(frozen=True)
class RecordedStudy:
    """What is recorded of a study.

    Attributes:
        trials: Its trials, by number.
        states: The states of the pipeline in which they began, by digest.
        maximize: Whether larger values are better.
    """

    trials: list[TrialRecord]
    states: Mapping[str, PipelineState]
    maximize: bool = False


def read_trials(storage: str, name: str) -> list[TrialRecord] | None:
    """All trials of a study, by number; see `read_study`."""
    study = read_study(storage, name)
    return None if study is None else study.trials


def read_study(storage: str, name: str) -> RecordedStudy | None:
    """All that is recorded of a study; ``None`` where it takes Optuna to read it.

    Args:
        storage: Database URL.
        name: The study's name.
    """
    file = Path(storage.removeprefix("sqlite:///"))
    if not storage.startswith("sqlite:///") or not file.exists():
        return None
    try:
        with closing(sqlite3.connect(file)) as connection, _no_collection():
            connection.execute("BEGIN")  # one state of the study, even if it is tuned meanwhile
            if connection.execute("SELECT version_num FROM alembic_version").fetchone() != (
                _TABLES,
            ):
                return None
            study = connection.execute(
                "SELECT study_id FROM studies WHERE study_name = ?", (name,)
            ).fetchone()
            if study is None:
                return None
            stored = connection.execute(
                "SELECT key, value_json FROM study_user_attributes WHERE study_id = ?", study
            )
            attributes = {key: json.loads(text) for key, text in stored}
            trials = with_confirmations(_read(connection, study[0]), attributes)
            (direction,) = connection.execute(
                "SELECT direction FROM study_directions WHERE study_id = ?", study
            ).fetchone()
            return RecordedStudy(trials, states_in(attributes), direction == "MAXIMIZE")
    except sqlite3.Error:
        return None


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from looking for garbage: all of what is read is kept, and it is a lot."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(connection: sqlite3.Connection, study: int) -> list[TrialRecord]:
    def rows(columns: str, table: str) -> Any:
        return connection.execute(f"SELECT trial_id, {columns} {_OF_STUDY.format(table)}", (study,))

    attributes: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial, key, encoded in rows("key, value_json", "trial_user_attributes"):
        attributes[trial][key] = json.loads(encoded)
    params: dict[int, dict[str, Any]] = defaultdict(dict)
    kinds: dict[str, Any] = {}
    for trial, path, value, encoded in rows(
        "param_name, param_value, distribution_json", "trial_params"
    ):
        if encoded not in kinds:
            kinds[encoded] = json.loads(encoded)
        params[trial][path] = _external(kinds[encoded], value)
    reported: dict[int, dict[int, float]] = defaultdict(dict)
    for trial, step, value, kind in rows(
        "step, intermediate_value, intermediate_value_type", "trial_intermediate_values"
    ):
        reported[trial][step] = _NOT_FINITE.get(kind, value)
    values = {
        trial: _NOT_FINITE.get(kind, value)
        for trial, value, kind in rows("value, value_type", "trial_values")
    }
    return [
        TrialRecord.stored(
            number,
            state,
            params[trial],
            values.get(trial),
            attributes[trial],
            (_time(started), _time(finished)),
            reported[trial],
        )
        for trial, number, state, started, finished in connection.execute(
            "SELECT trial_id, number, state, datetime_start, datetime_complete "
            "FROM trials WHERE study_id = ? ORDER BY number",
            (study,),
        )
    ]


def _external(distribution: dict[str, Any], value: float) -> Any:
    """A value as the user knows it; of a category, its place is stored."""
    if distribution["name"] == "CategoricalDistribution":
        return distribution["attributes"]["choices"][int(value)]
    return int(value) if distribution["name"] == "IntDistribution" else value


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
