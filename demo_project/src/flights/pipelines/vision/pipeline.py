"""From a brain template to the grey and white matter that a U-Net finds in noisy scans of it."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from .nodes import (
    augment_slices,
    calibrate_tissues,
    evaluate_tissues,
    load_template,
    predict_tissues,
    preprocess_slices,
    simulate_scans,
    train_unet,
)


def create_pipeline(**_: object) -> Pipeline:
    """Simulate, preprocess, augment, train, predict, calibrate and evaluate."""
    return Pipeline(
        [
            Node(
                load_template,
                inputs="params:vision.resolution",
                outputs="template",
                name="load_template",
            ),
            Node(
                simulate_scans,
                inputs=["template", "params:vision.scan"],
                outputs="scans",
                name="simulate_scans",
            ),
            Node(
                preprocess_slices,
                inputs=["scans", "params:vision.preprocess"],
                outputs="slices",
                name="preprocess_slices",
            ),
            Node(
                augment_slices,
                inputs=["slices", "params:vision.augment"],
                outputs="training_slices",
                name="augment_slices",
            ),
            Node(
                train_unet,
                inputs=["training_slices", "params:vision.train"],
                outputs="unet_weights",
                name="train_unet",
            ),
            Node(
                predict_tissues,
                inputs=["unet_weights", "slices", "params:vision.train", "params:vision.predict"],
                outputs="tissue_probabilities",
                name="predict_tissues",
            ),
            Node(
                calibrate_tissues,
                inputs=["tissue_probabilities", "params:vision.calibrate"],
                outputs="segmentations",
                name="calibrate_tissues",
            ),
            Node(
                evaluate_tissues,
                inputs="segmentations",
                outputs="segmentation_metrics",
                name="evaluate_tissues",
            ),
        ]
    )
