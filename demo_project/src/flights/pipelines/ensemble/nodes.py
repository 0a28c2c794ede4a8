"""Train three base learners and a stacker, predict, evaluate.

Every base learner gives each flight one *margin*, a real number that grows with the odds of being
late: out of fold for the training flights, from the model fitted on all training flights for the
others. The stacker learns from the margins and the features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline as ModelPipeline
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from sklearn.svm import SVC

from flights.threads import use_one_thread

Model = Any
"""A fitted scikit-learn classifier."""


def train_random_forest(
    selected_features: pd.DataFrame, outcomes: pd.DataFrame, random_forest: dict[str, Any]
) -> tuple[RandomForestClassifier, pd.Series]:
    """Train a random forest.

    Args:
        selected_features: The features of all flights.
        outcomes: `late`, `part` and `fold` of each flight.
        random_forest: Arguments of `RandomForestClassifier`.

    Returns:
        The forest fitted on the training flights, and the margin of every flight.
    """
    return _train(
        lambda: RandomForestClassifier(**random_forest, n_jobs=1),
        _log_odds,
        selected_features,
        outcomes,
    )


def train_boosting(
    selected_features: pd.DataFrame, outcomes: pd.DataFrame, boosting: dict[str, Any]
) -> tuple[HistGradientBoostingClassifier, pd.Series]:
    """Train histogram gradient boosting.

    Args:
        selected_features: The features of all flights.
        outcomes: `late`, `part` and `fold` of each flight.
        boosting: Arguments of `HistGradientBoostingClassifier`.

    Returns:
        The model fitted on the training flights, and the margin of every flight.
    """
    return _train(
        lambda: HistGradientBoostingClassifier(**boosting, early_stopping=False),
        _decision,
        selected_features,
        outcomes,
    )


def train_svm(
    selected_features: pd.DataFrame, outcomes: pd.DataFrame, svm: dict[str, Any]
) -> tuple[ModelPipeline, pd.Series]:
    """Train a support vector machine on a random part of the flights.

    Args:
        selected_features: The features of all flights.
        outcomes: `late`, `part` and `fold` of each flight.
        svm: `max_rows`, the number of training flights it sees (its time grows with the square);
            `random_state` of their choice; the rest are arguments of `SVC`.

    Returns:
        The scaler and machine fitted on training flights, and the margin of every flight.
    """
    arguments = {k: v for k, v in svm.items() if k not in ("max_rows", "random_state")}
    sample = outcomes.sample(frac=1, random_state=svm["random_state"]).index
    return _train(
        lambda: make_pipeline(StandardScaler(), SVC(**arguments)),
        _decision,
        selected_features.loc[sample],
        outcomes.loc[sample],
        max_rows=svm["max_rows"],
    )


def _log_odds(model: Model, x: pd.DataFrame) -> np.ndarray:
    """Log-odds of the predicted probability, finite where all trees agree."""
    return logit(np.clip(model.predict_proba(x)[:, 1], 1e-3, 1 - 1e-3))


def _decision(model: Model, x: pd.DataFrame) -> np.ndarray:
    """The model's own margin."""
    return model.decision_function(x)


def _train(
    make: Callable[[], Model],
    margin: Callable[[Model, pd.DataFrame], np.ndarray],
    features: pd.DataFrame,
    outcomes: pd.DataFrame,
    max_rows: int | None = None,
) -> tuple[Model, pd.Series]:
    """Fit one model per fold and one on all training flights; give every flight its margin.

    Each model sees the first `max_rows` of its flights.
    """
    use_one_thread()
    late, fold = outcomes["late"], outcomes["fold"]
    margins = pd.Series(np.nan, index=features.index, name="margin")
    train = fold >= 0
    for k in sorted(fold[train].unique()):
        fitting, held_out = train & (fold != k), fold == k
        model = make().fit(features[fitting][:max_rows], late[fitting][:max_rows])
        margins[held_out] = margin(model, features[held_out])
    model = make().fit(features[train][:max_rows], late[train][:max_rows])
    margins[~train] = margin(model, features[~train])
    return model, margins.sort_index()


def train_stacker(
    selected_features: pd.DataFrame,
    random_forest_margins: pd.Series,
    boosting_margins: pd.Series,
    svm_margins: pd.Series,
    outcomes: pd.DataFrame,
    stacking: dict[str, Any],
) -> Model:
    """Train the stacker on the features and the out-of-fold margins of the training flights.

    Args:
        selected_features: The features of all flights.
        random_forest_margins: The margin of every flight by the random forest.
        boosting_margins: The same by gradient boosting.
        svm_margins: The same by the support vector machine.
        outcomes: `late` and `part` of each flight.
        stacking: `kind`, `logistic` (additive splines with `n_knots`, penalised by 1 / `C`) or
            `forest` (with `min_samples_leaf` and `n_estimators`); `random_state`.

    Returns:
        The fitted stacker.

    Raises:
        ValueError: If the kind is unknown.
    """
    use_one_thread()
    if stacking["kind"] == "logistic":
        stacker = make_pipeline(
            SplineTransformer(n_knots=stacking["n_knots"]),
            StandardScaler(),
            LogisticRegression(C=stacking["C"], max_iter=2000),
        )
    elif stacking["kind"] == "forest":
        stacker = RandomForestClassifier(
            n_estimators=stacking["n_estimators"],
            min_samples_leaf=stacking["min_samples_leaf"],
            random_state=stacking["random_state"],
            n_jobs=1,
        )
    else:
        raise ValueError(f"unknown stacker {stacking['kind']!r}")
    x = _with_margins(selected_features, random_forest_margins, boosting_margins, svm_margins)
    train = outcomes["part"] == "train"
    return stacker.fit(x[train], outcomes.loc[train, "late"])


def predict_late(
    stacker_model: Model,
    selected_features: pd.DataFrame,
    random_forest_margins: pd.Series,
    boosting_margins: pd.Series,
    svm_margins: pd.Series,
) -> pd.Series:
    """Predict the probability of being late for every flight.

    Args:
        stacker_model: The fitted stacker.
        selected_features: The features of all flights.
        random_forest_margins: The margin of every flight by the random forest.
        boosting_margins: The same by gradient boosting.
        svm_margins: The same by the support vector machine.

    Returns:
        Probabilities, indexed by `flight_id`.
    """
    use_one_thread()
    x = _with_margins(selected_features, random_forest_margins, boosting_margins, svm_margins)
    return pd.Series(stacker_model.predict_proba(x)[:, 1], index=x.index, name="p_late")


def _with_margins(
    features: pd.DataFrame, random_forest: pd.Series, boosting: pd.Series, svm: pd.Series
) -> pd.DataFrame:
    """What the stacker sees: the margins beside the features."""
    return features.assign(
        random_forest_margin=random_forest, boosting_margin=boosting, svm_margin=svm
    )


def evaluate(p_late: pd.Series, outcomes: pd.DataFrame) -> dict[str, float]:
    """Evaluate the predictions on days that no learner has seen.

    Args:
        p_late: The predicted probability of every flight.
        outcomes: `late` and `part` of each flight.

    Returns:
        `log_loss` and `auc` on the validation days, which tuning may look at, and `test_log_loss`
        and `test_auc` on the test days, which it may not.
    """
    metrics = {}
    for part, prefix in (("validation", ""), ("test", "test_")):
        rows = outcomes["part"] == part
        late = outcomes.loc[rows, "late"]
        metrics[f"{prefix}log_loss"] = float(log_loss(late, p_late[rows]))
        metrics[f"{prefix}auc"] = float(roc_auc_score(late, p_late[rows]))
    return metrics
