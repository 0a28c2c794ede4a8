"""The vendored raw data, and what the project says when they are not as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from flights.pipelines.data_processing.nodes import (
    clean_flights,
    describe_planes,
    summarise_weather,
)


def test_raw_files_stay_below_one_megabyte(demo: Path) -> None:
    files = list((demo / "data" / "01_raw").glob("*.parquet"))
    assert len(files) == 3
    assert sum(file.stat().st_size for file in files) < 1_000_000


def test_raw_tables_have_the_rows_that_their_note_states(
    demo: Path, raw: dict[str, pd.DataFrame]
) -> None:
    note = (demo / "data" / "01_raw" / "README.md").read_text()
    assert "CC0" in note
    for name, table in raw.items():
        assert f"| `{name.removesuffix('_raw')}.parquet` | {len(table):,} |" in note


def test_weather_and_planes_have_unique_keys(raw: dict[str, pd.DataFrame]) -> None:
    assert not raw["weather_raw"].duplicated(["origin", "time_hour"]).any()
    assert not raw["planes_raw"].duplicated("tailnum").any()


def test_nearly_all_flights_have_weather_and_most_have_a_plane(
    raw: dict[str, pd.DataFrame],
) -> None:
    flights = raw["flights_raw"]
    with_weather = flights.merge(raw["weather_raw"], on=["origin", "time_hour"])
    assert len(with_weather) > 0.99 * len(flights)
    assert flights["tailnum"].isin(raw["planes_raw"]["tailnum"]).mean() > 0.8


@pytest.mark.parametrize(
    ("check", "table", "column"),
    [
        (clean_flights, "flights_raw", "sched_arr_time"),
        (lambda t: summarise_weather(t, {"window_hours": 1}), "weather_raw", "pressure"),
        (describe_planes, "planes_raw", "seats"),
    ],
)
def test_missing_column_or_rows_are_named(
    raw: dict[str, pd.DataFrame], check: Any, table: str, column: str
) -> None:
    with pytest.raises(ValueError, match=rf"{table.removesuffix('_raw')}: missing.*{column}"):
        check(raw[table].drop(columns=column))
    with pytest.raises(ValueError, match="no rows"):
        check(raw[table].iloc[:0])


def test_plane_that_is_there_twice_is_refused(raw: dict[str, pd.DataFrame]) -> None:
    planes = raw["planes_raw"]
    with pytest.raises(ValueError, match="twice"):
        describe_planes(pd.concat([planes, planes.iloc[:1]]))
