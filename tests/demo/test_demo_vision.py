"""The vision pipeline: its data, its nodes, and the same results wherever it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from flights.pipelines import vision
from flights.pipelines.vision.nodes import (
    augment_slices,
    calibrate_tissues,
    evaluate_tissues,
    load_template,
    predict_tissues,
    preprocess_slices,
    simulate_scans,
    train_unet,
)
from kedro.pipeline import Pipeline

Slices = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def settings(demo: Path) -> dict[str, Any]:
    """The pipeline's parameters, with a U-Net that trains in a moment."""
    text = (demo / "conf" / "base" / "parameters_vision.yml").read_text()
    settings = yaml.safe_load(text)["vision"]
    settings["scan"]["count"] = 1
    settings["train"].update({"channels": 4, "steps": 12})
    return settings


@pytest.fixture(scope="module")
def template() -> Slices:
    """The brain at 4 mm."""
    return load_template(4)


@pytest.fixture(scope="module")
def slices(template: Slices, settings: dict[str, Any]) -> Slices:
    return preprocess_slices(
        simulate_scans(template, settings["scan"] | {"slab": 3}), settings["preprocess"]
    )


def test_template_holds_a_brain_and_its_tissues(template: Slices) -> None:
    inside = template["t1"] > 0
    assert 0.1 < inside.mean() < 0.5
    assert ((template["grey"] > 0.5) & inside).sum() > ((template["white"] > 0.5) & inside).sum()


def test_template_of_another_shape_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from nilearn import datasets

    whole = datasets.load_mni152_wm_template
    monkeypatch.setattr(datasets, "load_mni152_wm_template", lambda resolution: whole(8))
    with pytest.raises(ValueError, match="white: shape"):
        load_template(4)


def test_neighbouring_slices_are_held_out_together(slices: Slices) -> None:
    part = slices["part"]
    lengths = [len(run) for run in np.split(part, np.flatnonzero(np.diff(part)) + 1)]
    assert set(part) == {0, 1, 2}
    assert min(lengths[:-1]) >= 3
    assert slices["images"].shape[1] % 8 == slices["images"].shape[2] % 8 == 0


def test_scans_differ_and_labels_do_not(template: Slices, settings: dict[str, Any]) -> None:
    scans = simulate_scans(template, settings["scan"] | {"count": 2})
    first, second = (scans["scan"] == i for i in (0, 1))
    assert (scans["labels"][first] == scans["labels"][second]).all()
    assert not np.allclose(scans["images"][first], scans["images"][second])


def test_preprocessing_evens_a_field_out(template: Slices, settings: dict[str, Any]) -> None:
    scans = simulate_scans(template, settings["scan"] | {"noise": 0.0, "field": 0.5})

    def spread_of_white_matter(field_sigma: float) -> float:
        found = preprocess_slices(scans, settings["preprocess"] | {"field_sigma": field_sigma})
        return float(found["images"][found["labels"] == 2].astype(float).std())

    assert spread_of_white_matter(8.0) < 0.8 * spread_of_white_matter(0.0)


def test_augmented_copies_are_of_training_slices_only(
    slices: Slices, settings: dict[str, Any]
) -> None:
    augment = settings["augment"] | {"copies": 2}
    training = (slices["part"] == 0).sum()
    augmented = augment_slices(slices, augment)
    assert len(augmented["images"]) == len(augmented["labels"]) == 3 * training
    changed = {
        **slices,
        "images": np.where(slices["part"][:, None, None] == 0, slices["images"], 0),
    }
    assert (augment_slices(changed, augment)["images"] == augmented["images"]).all()


def predicted(slices: Slices, settings: dict[str, Any], views: int = 1) -> Slices:
    training = augment_slices(slices, settings["augment"])
    weights = train_unet(training, settings["train"])
    return predict_tissues(weights, slices, settings["train"], {"views": views})


def test_same_parameters_give_the_same_bits_and_a_unet_that_has_learnt(
    slices: Slices, settings: dict[str, Any]
) -> None:
    settings = {**settings, "train": settings["train"] | {"steps": 60}}
    predictions = predicted(slices, settings)
    np.testing.assert_array_equal(
        predictions["probabilities"], predicted(slices, settings)["probabilities"]
    )
    metrics = evaluate_tissues(calibrate_tissues(predictions, settings["calibrate"]))
    assert metrics["dice"] > 0.35
    assert metrics["test_dice"] > 0.25


def test_views_and_thresholds_change_what_is_found(
    slices: Slices, settings: dict[str, Any]
) -> None:
    one, four = (predicted(slices, settings, views)["probabilities"] for views in (1, 4))
    assert one.shape == four.shape == (len(one), 3, *slices["images"].shape[1:])
    np.testing.assert_allclose(four.astype(float).sum(axis=1), 1, atol=0.01)
    assert not np.allclose(one, four)
    predictions = predicted(slices, settings)
    calibrate = settings["calibrate"]
    found = [
        (calibrate_tissues(predictions, calibrate | {"grey": grey})["segmentation"] == 1).sum()
        for grey in (0.1, 0.9)
    ]
    assert found[0] > found[1]


def test_dice_of_known_segmentations() -> None:
    labels = np.array([[[1, 1], [2, 0]], [[1, 2], [2, 0]]])
    exact = evaluate_tissues({"segmentation": labels, "labels": labels, "part": np.array([1, 2])})
    assert exact["dice"] == exact["test_dice"] == 1.0
    half = np.array([[[1, 0], [2, 2]], [[0, 0], [0, 0]]])
    metrics = evaluate_tissues({"segmentation": half, "labels": labels, "part": np.array([1, 2])})
    assert metrics["dice_grey"] == pytest.approx(2 / 3)
    assert metrics["dice_white"] == pytest.approx(2 / 3)
    assert metrics["test_dice"] == 0


def test_stages_follow_each_other_and_calibration_comes_last(demo: Path) -> None:
    pipeline: Pipeline = vision.create_pipeline()
    names = [node.name for node in pipeline.nodes]
    assert names[0] == "load_template"
    assert names[-2:] == ["calibrate_tissues", "evaluate_tissues"]
    assert all(node.func.__doc__ for node in pipeline.nodes)
