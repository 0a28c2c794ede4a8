"""Three base learners, a stacker on top of them, and its evaluation."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from .nodes import (
    evaluate,
    predict_late,
    train_boosting,
    train_random_forest,
    train_stacker,
    train_svm,
)

MARGINS = ["random_forest_margins", "boosting_margins", "svm_margins"]


def create_pipeline(**_: object) -> Pipeline:
    """Train the base learners in parallel branches, then stack, predict and evaluate."""
    return Pipeline(
        [
            Node(
                train_random_forest,
                inputs=["selected_features", "outcomes", "params:random_forest"],
                outputs=["random_forest_model", "random_forest_margins"],
                name="train_random_forest",
            ),
            Node(
                train_boosting,
                inputs=["selected_features", "outcomes", "params:boosting"],
                outputs=["boosting_model", "boosting_margins"],
                name="train_boosting",
            ),
            Node(
                train_svm,
                inputs=["selected_features", "outcomes", "params:svm"],
                outputs=["svm_model", "svm_margins"],
                name="train_svm",
            ),
            Node(
                train_stacker,
                inputs=["selected_features", *MARGINS, "outcomes", "params:stacking"],
                outputs="stacker_model",
                name="train_stacker",
            ),
            Node(
                predict_late,
                inputs=["stacker_model", "selected_features", *MARGINS],
                outputs="p_late",
                name="predict_late",
            ),
            Node(evaluate, inputs=["p_late", "outcomes"], outputs="metrics", name="evaluate"),
        ]
    )
