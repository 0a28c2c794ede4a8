"""Encode the flights as numbers, score the features, keep the best."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_selection import f_classif, mutual_info_classif
from sklearn.preprocessing import TargetEncoder

from flights.threads import use_one_thread

RARE = 0.02
ONE_HOT = ["origin", "manufacturer"]
CYCLES = {"month": 12, "weekday": 7, "departure_minute": 1440}


def encode_features(
    joined_flights: pd.DataFrame, outcomes: pd.DataFrame, encoding: dict[str, Any]
) -> pd.DataFrame:
    """Turn the joined flights into numbers, learning from the training flights only.

    Categories with many values become the smoothed share of late flights, for a training flight
    that of the other folds; those with few become indicators; the clock and the calendar become
    sines and cosines; missing numbers become the median.

    Args:
        joined_flights: The flights with weather and plane.
        outcomes: `late`, `part` and `fold` of each flight.
        encoding: `smoothing`, how many flights the overall share weighs against those of one
            category.

    Returns:
        Indexed by `flight_id`: numbers only, none missing.
    """
    use_one_thread()
    train = outcomes["part"] == "train"
    numbers = joined_flights.select_dtypes("number").drop(columns=["month", "weekday", "hour"])
    return pd.concat(
        [
            numbers.fillna(numbers[train].median()).astype(float),
            _cycles(joined_flights),
            pd.get_dummies(_frequent_only(joined_flights[ONE_HOT], train), dtype=float),
            _late_rates(_categories(joined_flights), outcomes, encoding["smoothing"]),
        ],
        axis=1,
    )


def _late_rates(categories: pd.DataFrame, outcomes: pd.DataFrame, smoothing: float) -> pd.DataFrame:
    """The smoothed share of late flights of each category, never learnt from the flight's fold."""
    rates = pd.DataFrame(np.nan, categories.index, categories.columns.map("late_rate_{}".format))
    fold = outcomes["fold"]
    for k in fold.unique():
        learning = (fold >= 0) & (fold != k)
        encoder = TargetEncoder(target_type="binary", smooth=smoothing)
        encoder.fit(categories[learning], outcomes.loc[learning, "late"])
        rates[fold == k] = encoder.transform(categories[fold == k])
    return rates


def _categories(flights: pd.DataFrame) -> pd.DataFrame:
    """The categorical columns and their crossings, as strings."""
    text = flights[["carrier", "dest", "origin", "month", "weekday", "hour"]].astype(str)
    return pd.DataFrame(
        {
            "carrier": text["carrier"],
            "dest": text["dest"],
            "month": text["month"],
            "hour": text["hour"],
            "route": text["origin"] + "-" + text["dest"],
            "carrier_route": text["carrier"] + "-" + text["origin"] + "-" + text["dest"],
            "carrier_hour": text["carrier"] + "-" + text["hour"],
            "origin_hour": text["origin"] + "-" + text["hour"],
            "month_hour": text["month"] + "-" + text["hour"],
            "month_weekday": text["month"] + "-" + text["weekday"],
        }
    )


def _frequent_only(categories: pd.DataFrame, train: pd.Series) -> pd.DataFrame:
    """Replace the categories of less than `RARE` of the training flights by `other`."""
    kept = {}
    for name, column in categories.items():
        frequency = column[train].value_counts(normalize=True)
        kept[name] = column.where(column.isin(frequency.index[frequency >= RARE]), "other")
    return pd.DataFrame(kept)


def _cycles(flights: pd.DataFrame) -> pd.DataFrame:
    """Sine and cosine of each cyclic column."""
    angles = {name: 2 * np.pi * flights[name] / period for name, period in CYCLES.items()}
    return pd.DataFrame(
        {
            f"{name}_{wave.__name__}": wave(angle)
            for name, angle in angles.items()
            for wave in (np.sin, np.cos)
        }
    )


def score_features(
    features: pd.DataFrame, outcomes: pd.DataFrame, scoring: dict[str, Any]
) -> pd.Series:
    """Score each feature by what it alone says about the target, on the training flights.

    Args:
        features: The encoded features.
        outcomes: `late` and `part` of each flight.
        scoring: `method`, `anova` (F statistic) or `mutual_information` (nearest neighbours,
            slower, sees more than shifts of the mean); `n_neighbors` and `random_state` of the
            latter.

    Returns:
        The score of each feature, highest first.

    Raises:
        ValueError: If the method is unknown.
    """
    use_one_thread()
    train = outcomes["part"] == "train"
    x, y = features[train], outcomes.loc[train, "late"]
    if scoring["method"] == "anova":
        scores = f_classif(x, y)[0]
    elif scoring["method"] == "mutual_information":
        scores = mutual_info_classif(
            x,
            y,
            n_neighbors=scoring["n_neighbors"],
            random_state=scoring["random_state"],
            n_jobs=1,
        )
    else:
        raise ValueError(f"unknown scoring method {scoring['method']!r}")
    return pd.Series(scores, index=features.columns, name="score").sort_values(
        ascending=False, kind="stable"
    )


def select_features(
    features: pd.DataFrame, feature_scores: pd.Series, n_features: int
) -> pd.DataFrame:
    """Keep the features with the highest scores.

    Args:
        features: The encoded features.
        feature_scores: Their scores, highest first.
        n_features: How many are kept.

    Returns:
        The selected columns, best first.
    """
    return features[feature_scores.index[:n_features]]
