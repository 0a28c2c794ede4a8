"""From the table of flights to the features that the learners see."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from .nodes import encode_features, score_features, select_features


def create_pipeline(**_: object) -> Pipeline:
    """Encode, score and select the features."""
    return Pipeline(
        [
            Node(
                encode_features,
                inputs=["joined_flights", "outcomes", "params:encoding"],
                outputs="features",
                name="encode_features",
            ),
            Node(
                score_features,
                inputs=["features", "outcomes", "params:scoring"],
                outputs="feature_scores",
                name="score_features",
            ),
            Node(
                select_features,
                inputs=["features", "feature_scores", "params:selection.n_features"],
                outputs="selected_features",
                name="select_features",
            ),
        ]
    )
