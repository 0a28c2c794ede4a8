"""Augment, make features, train, measure. Each node takes only the parameters that it needs."""

from kedro.pipeline import Pipeline, node

from . import nodes


def create_pipeline() -> Pipeline:
    """The whole pipeline."""
    return Pipeline(
        [
            node(nodes.load_digits, None, ["train", "validation", "test"], name="load_digits"),
            node(nodes.augment, ["train", "params:augment"], "augmented", name="augment"),
            node(
                nodes.fit_features,
                ["augmented", "params:features"],
                ["feature_map", "train_features"],
                name="fit_features",
            ),
            node(nodes.fit_model, ["train_features", "params:model"], "model", name="fit_model"),
            node(
                nodes.evaluate,
                ["model", "feature_map", "validation"],
                "metrics",
                name="evaluate",
            ),
            node(
                nodes.evaluate,
                ["model", "feature_map", "test"],
                "test_metrics",
                name="evaluate_on_test",
            ),
        ]
    )
