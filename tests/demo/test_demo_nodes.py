"""The nodes of the demo, one by one, on a sixth of its flights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from flights.pipelines.data_processing.nodes import (
    assign_days,
    clean_flights,
    describe_planes,
    join_tables,
    summarise_weather,
)
from flights.pipelines.ensemble.nodes import (
    evaluate,
    predict_late,
    train_boosting,
    train_random_forest,
    train_stacker,
    train_svm,
)
from flights.pipelines.feature_engineering.nodes import (
    encode_features,
    score_features,
    select_features,
)
from sklearn.metrics import roc_auc_score

KNOWN_AFTER_DEPARTURE = ["dep_time", "dep_delay", "arr_time", "air_time"]
Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def flights(small_raw: Tables) -> pd.DataFrame:
    return clean_flights(small_raw["flights_raw"])


@pytest.fixture(scope="module")
def outcomes(flights: pd.DataFrame, base_parameters: dict[str, Any]) -> pd.DataFrame:
    return assign_days(flights, base_parameters["split"])


@pytest.fixture(scope="module")
def joined(flights: pd.DataFrame, small_raw: Tables) -> pd.DataFrame:
    weather = summarise_weather(small_raw["weather_raw"], {"window_hours": 3})
    return join_tables(flights, weather, describe_planes(small_raw["planes_raw"]))


@pytest.fixture(scope="module")
def features(joined: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    return encode_features(joined, outcomes, {"smoothing": 10.0})


def flip(outcomes: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    """The same outcomes with the target of `rows` turned round."""
    return outcomes.assign(late=outcomes["late"].where(~rows, 1 - outcomes["late"]))


def test_cancelled_flights_are_dropped_and_lateness_starts_after_15_minutes(
    small_raw: Tables, flights: pd.DataFrame
) -> None:
    delay = small_raw["flights_raw"]["arr_delay"]
    assert delay.isna().any()
    assert list(flights.index) == list(delay.dropna().index)
    assert (flights["late"] == (delay.dropna() > 15)).all()
    assert flights["scheduled_minutes"].between(0, 1439).all()


def test_what_is_known_after_departure_has_no_influence(
    small_raw: Tables, flights: pd.DataFrame
) -> None:
    raw = small_raw["flights_raw"]
    arrived = raw["arr_delay"].notna()
    scrambled = raw.assign(**{name: raw[name].to_numpy()[::-1] for name in KNOWN_AFTER_DEPARTURE})
    scrambled["arr_delay"] = (-raw["arr_delay"]).where(arrived)
    changed = clean_flights(scrambled)
    pd.testing.assert_frame_equal(changed.drop(columns="late"), flights.drop(columns="late"))
    assert (changed["late"] != flights["late"]).any()


def test_joined_flights_hold_neither_the_target_nor_the_date(
    joined: pd.DataFrame, flights: pd.DataFrame
) -> None:
    assert not {"late", "date", "arr_delay", *KNOWN_AFTER_DEPARTURE} & set(joined.columns)
    assert joined.index.equals(flights.index)


def test_days_are_never_split(flights: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    by_day = outcomes.groupby(flights["date"])
    assert (by_day["part"].nunique() == 1).all()
    assert (by_day["fold"].nunique() == 1).all()
    assert ((outcomes["fold"] >= 0) == (outcomes["part"] == "train")).all()
    shares = by_day["part"].first().value_counts(normalize=True)
    assert shares["validation"] == pytest.approx(0.2, abs=0.01)
    assert shares["test"] == pytest.approx(0.2, abs=0.01)


def test_weather_looks_back_only(small_raw: Tables) -> None:
    weather = small_raw["weather_raw"].sort_values("time_hour").tail(3000)
    hours = pd.to_datetime(weather["time_hour"], utc=True)
    now = hours.iloc[1500]
    later = weather.assign(temp=weather["temp"].where(hours <= now, 0.0))
    before, after = (summarise_weather(w, {"window_hours": 6}) for w in (weather, later))
    known = before["time_hour"] <= now
    pd.testing.assert_frame_equal(before[known], after[known])
    assert not before[~known].equals(after[~known])


def test_weather_window_is_a_mean_and_a_sum(small_raw: Tables) -> None:
    airport = small_raw["weather_raw"].query("origin == 'JFK'").head(48)
    summary = summarise_weather(airport, {"window_hours": 4}).set_index("time_hour")
    hours = airport.set_index(pd.to_datetime(airport["time_hour"], utc=True))
    hour = hours.index[20]
    window = hours.loc[hour - pd.Timedelta(hours=3) : hour]
    assert len(window) == 4
    assert summary.loc[hour, "temp_mean"] == pytest.approx(window["temp"].mean())
    assert summary.loc[hour, "precip_sum"] == pytest.approx(window["precip"].sum())
    assert summary.loc[hour, "visib_min"] == window["visib"].min()


def test_features_are_complete_numbers(features: pd.DataFrame, joined: pd.DataFrame) -> None:
    assert joined.isna().any(axis=None)
    assert np.isfinite(features.to_numpy(float)).all()
    assert features.columns.is_unique
    assert features.index.equals(joined.index)


@pytest.mark.parametrize("fold", [-1, 0, 1, 2])
def test_features_of_a_fold_do_not_know_its_targets(
    joined: pd.DataFrame, outcomes: pd.DataFrame, features: pd.DataFrame, fold: int
) -> None:
    rows = outcomes["fold"] == fold
    flipped = encode_features(joined, flip(outcomes, rows), {"smoothing": 10.0})
    pd.testing.assert_frame_equal(flipped[rows], features[rows])
    assert fold == -1 or not flipped[~rows].equals(features[~rows])


def test_smoothing_draws_late_rates_together(joined: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    spread = [
        encode_features(joined, outcomes, {"smoothing": s})["late_rate_carrier_route"].std()
        for s in (1.0, 1000.0)
    ]
    assert spread[1] < spread[0] / 5


@pytest.mark.parametrize("method", ["anova", "mutual_information"])
def test_scores_find_the_feature_that_matters(outcomes: pd.DataFrame, method: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(len(outcomes), 3)), outcomes.index, ["a", "b", "c"])
    table["b"] += 2 * outcomes["late"]
    scores = score_features(
        table, outcomes, {"method": method, "n_neighbors": 3, "random_state": 0}
    )
    assert scores.index[0] == "b"
    assert scores.is_monotonic_decreasing
    assert list(select_features(table, scores, 2).columns) == list(scores.index[:2])


def test_unknown_scoring_method_is_refused(features: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="'chance'"):
        score_features(features, outcomes, {"method": "chance"})


LEARNERS = pytest.mark.parametrize(
    ("train", "name"),
    [(train_random_forest, "random_forest"), (train_boosting, "boosting"), (train_svm, "svm")],
)


@LEARNERS
def test_margins_rank_flights_that_were_not_learnt(
    features: pd.DataFrame,
    outcomes: pd.DataFrame,
    parameters: dict[str, Any],
    train: Any,
    name: str,
) -> None:
    model, margins = train(features, outcomes, parameters[name])
    assert margins.index.equals(outcomes.index)
    assert np.isfinite(margins).all()
    assert roc_auc_score(outcomes["late"], margins) > 0.52
    assert hasattr(model, "classes_")


@LEARNERS
def test_margins_of_a_fold_do_not_know_its_targets(
    features: pd.DataFrame,
    outcomes: pd.DataFrame,
    parameters: dict[str, Any],
    train: Any,
    name: str,
) -> None:
    _, margins = train(features, outcomes, parameters[name])
    for fold in (-1, 1):
        rows = outcomes["fold"] == fold
        _, flipped = train(features, flip(outcomes, rows), parameters[name])
        pd.testing.assert_series_equal(flipped[rows], margins[rows])
        assert fold == -1 or not flipped[~rows].equals(margins[~rows])


@pytest.mark.parametrize("kind", ["logistic", "forest"])
def test_stacker_prefers_the_margin_that_knows(
    features: pd.DataFrame, outcomes: pd.DataFrame, parameters: dict[str, Any], kind: str
) -> None:
    rng = np.random.default_rng(0)
    noise = [pd.Series(rng.normal(size=len(outcomes)), outcomes.index) for _ in range(3)]
    margins = [noise[0], noise[1] + 2 * outcomes["late"], noise[2]]
    few = features.iloc[:, :3]
    stacker = train_stacker(few, *margins, outcomes, {**parameters["stacking"], "kind": kind})
    p_late = predict_late(stacker, few, *margins)
    assert p_late.between(0, 1).all()
    metrics = evaluate(p_late, outcomes)
    assert metrics["auc"] > 0.8
    assert metrics["test_auc"] > 0.8


def test_unknown_stacker_is_refused(features: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    margin = outcomes["late"].astype(float)
    with pytest.raises(ValueError, match="'vote'"):
        train_stacker(features, margin, margin, margin, outcomes, {"kind": "vote"})


def test_metrics_of_a_constant_prediction(outcomes: pd.DataFrame) -> None:
    metrics = evaluate(pd.Series(0.25, outcomes.index), outcomes)
    for part, prefix in (("validation", ""), ("test", "test_")):
        share = outcomes.loc[outcomes["part"] == part, "late"].mean()
        expected = -share * np.log(0.25) - (1 - share) * np.log(0.75)
        assert metrics[f"{prefix}log_loss"] == pytest.approx(expected)
        assert metrics[f"{prefix}auc"] == 0.5
