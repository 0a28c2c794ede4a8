"""Simulate scans, clean and augment their slices, train a U-Net, calibrate and evaluate it.

What needs PyTorch is in `unet`, imported by the nodes that use it, so that the other pipelines of
this project start without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, rotate

from flights.threads import use_one_thread

TISSUES = ("grey", "white")
PARTS = ("train", "validation", "test")

Slices = dict[str, np.ndarray]
Weights = dict[str, np.ndarray]


def load_template(resolution: int) -> dict[str, np.ndarray]:
    """Load the MNI152 brain template and its tissue maps, which `nilearn` ships.

    Args:
        resolution: Millimetres per voxel.

    Returns:
        `t1` (intensity, 0 outside the brain), `grey` and `white` (share of the tissue), three
        volumes of one shape, the last axis from foot to head.

    Raises:
        ValueError: If a volume is of another shape, empty, or outside [0, 1].
    """
    from nilearn import datasets

    template = {
        "t1": datasets.load_mni152_template(resolution=resolution),
        "grey": datasets.load_mni152_gm_template(resolution=resolution),
        "white": datasets.load_mni152_wm_template(resolution=resolution),
    }
    volumes = {name: image.get_fdata().astype("float32") for name, image in template.items()}
    for name, volume in volumes.items():
        if volume.shape != volumes["t1"].shape or volume.ndim != 3:
            raise ValueError(f"{name}: shape {volume.shape}, but t1 has {volumes['t1'].shape}")
        if not 0 <= volume.min() < volume.max() <= 1 + 1e-6:
            raise ValueError(f"{name}: values from {volume.min()} to {volume.max()}, not 0 to 1")
    return volumes


def simulate_scans(template: dict[str, np.ndarray], scan: dict[str, Any]) -> Slices:
    """Simulate scans of the template: each with noise and an uneven field of its own.

    Args:
        template: `t1`, `grey` and `white` volumes.
        scan: `count` of scans, `noise` and `field` (standard deviations relative to the brightest
            tissue), `field_voxels` (how smooth the field is), `slab` (slices that are held out
            together), `random_state`.

    Returns:
        Axial slices that hold brain: `images` (n x height x width), `labels` (0 outside, 1 grey,
        2 white matter, likewise), `part` (index into `PARTS`) and `scan` of each slice. Slabs of
        neighbouring slices take turns: training, validation, training, test.
    """
    rng = np.random.default_rng(scan["random_state"])
    t1, grey, white = (np.moveaxis(template[k], 2, 0) for k in ("t1", "grey", "white"))
    labels = np.where(np.maximum(grey, white) < 0.5, 0, np.where(grey >= white, 1, 2))
    kept = np.flatnonzero((labels > 0).mean(axis=(1, 2)) > 0.02)
    part = np.array([0, 1, 0, 2])[np.arange(len(kept)) // scan["slab"] % 4]
    scans = []
    for _ in range(scan["count"]):
        field = gaussian_filter(rng.normal(size=t1.shape), scan["field_voxels"])
        field = np.exp(scan["field"] * field / field.std())
        scans.append((t1 * field + scan["noise"] * rng.normal(size=t1.shape))[kept])
    return {
        "images": _padded(np.concatenate(scans)).astype("float32"),
        "labels": _padded(np.tile(labels[kept], (scan["count"], 1, 1))).astype("uint8"),
        "part": np.tile(part, scan["count"]),
        "scan": np.repeat(np.arange(scan["count"]), len(kept)),
    }


def _padded(slices: np.ndarray, multiple: int = 8) -> np.ndarray:
    """Slices with zeros at their edges, so that a U-Net can halve their sides."""
    height, width = (-side % multiple for side in slices.shape[1:])
    return np.pad(slices, ((0, 0), (0, height), (0, width)))


def preprocess_slices(scans: Slices, preprocess: dict[str, Any]) -> Slices:
    """Even the field out, smooth the noise, and bring all slices to one range of intensities.

    Args:
        scans: The simulated slices.
        preprocess: `field_sigma`, voxels over which brightness is taken to be uneven (0 leaves
            it); `denoise_sigma`, voxels of Gaussian smoothing; `clip`, the percentile of
            intensities above which there are only outliers.

    Returns:
        The slices with mean 0 and standard deviation 1.
    """
    images = []
    for image in scans["images"]:
        smooth = gaussian_filter(image, preprocess["denoise_sigma"])
        if preprocess["field_sigma"] > 0:
            local = gaussian_filter(np.abs(smooth), preprocess["field_sigma"])
            smooth = smooth / (local + 0.2 * local.max())
        clipped = np.clip(smooth, 0, np.percentile(smooth, preprocess["clip"]))
        images.append((clipped - clipped.mean()) / (clipped.std() + 1e-6))
    return {**scans, "images": np.stack(images).astype("float16")}


def augment_slices(slices: Slices, augment: dict[str, Any]) -> Slices:
    """Make varied copies of the training slices.

    Args:
        slices: The preprocessed slices.
        augment: `copies` of each slice beside the original; `rotation` (degrees), `contrast` and
            `noise`, the standard deviations of what varies; `random_state`.

    Returns:
        `images` and `labels` to train on.
    """
    rng = np.random.default_rng(augment["random_state"])
    train = slices["part"] == PARTS.index("train")
    images, labels = list(slices["images"][train]), list(slices["labels"][train])
    for image, label in list(zip(images, labels, strict=True)) * augment["copies"]:
        image = image.astype("float32")
        angle = rng.normal(0, augment["rotation"])
        turned = rotate(image, angle, reshape=False, order=1, mode="nearest")
        turned = turned * np.exp(rng.normal(0, augment["contrast"]))
        images.append(turned + rng.normal(0, augment["noise"], image.shape))
        labels.append(rotate(label, angle, reshape=False, order=0))
    return {"images": np.stack(images).astype("float16"), "labels": np.stack(labels)}


def train_unet(training_slices: Slices, train: dict[str, Any]) -> Weights:
    """Train a U-Net with cross-entropy and soft Dice.

    Args:
        training_slices: `images` and `labels`.
        train: `channels` and `depth` of the U-Net; `steps` of Adam with `batch_size` slices and a
            `learning_rate` that falls to zero along a cosine; `dice_weight`, the share of soft
            Dice in the loss; `device`; `random_state`.

    Returns:
        The weights, by name.
    """
    from flights.pipelines.vision import unet

    use_one_thread()
    return unet.train(training_slices["images"], training_slices["labels"], train)


def predict_tissues(
    unet_weights: Weights, slices: Slices, train: dict[str, Any], predict: dict[str, Any]
) -> Slices:
    """Predict the tissue of each voxel of the slices that were held out.

    Args:
        unet_weights: The weights of the trained U-Net.
        slices: The preprocessed slices.
        train: As given to `train_unet`.
        predict: `views`, 1 for the slice as it is, 2 to average with its left-right mirror image,
            4 also with those upside down.

    Returns:
        `probabilities` (n x 3 x height x width), `labels` and `part` of the validation and test
        slices.
    """
    from flights.pipelines.vision import unet

    use_one_thread()
    held_out = slices["part"] != PARTS.index("train")
    images = slices["images"][held_out]
    probabilities = unet.predict(unet_weights, images, train, predict["views"])
    return {
        "probabilities": probabilities,
        "labels": slices["labels"][held_out],
        "part": slices["part"][held_out],
    }


def calibrate_tissues(predictions: Slices, calibrate: dict[str, Any]) -> Slices:
    """Turn probabilities into one tissue per voxel.

    Args:
        predictions: `probabilities` of the held-out slices.
        calibrate: `smoothing`, voxels over which probabilities are averaged; `grey` and `white`,
            the probability at which a tissue is as likely as none.

    Returns:
        `segmentation` (n x height x width), `labels` and `part`.
    """
    blur = calibrate["smoothing"]
    smoothed = gaussian_filter(predictions["probabilities"].astype("float32"), (0, 0, blur, blur))
    evidence = np.stack(
        [np.ones_like(smoothed[:, 0])]
        + [smoothed[:, i + 1] / calibrate[tissue] for i, tissue in enumerate(TISSUES)]
    )
    return {
        "segmentation": evidence.argmax(axis=0),
        "labels": predictions["labels"],
        "part": predictions["part"],
    }


def evaluate_tissues(segmentations: Slices) -> dict[str, float]:
    """Evaluate the segmentations of slices that the U-Net has not seen.

    Args:
        segmentations: `segmentation`, `labels` and `part` of the held-out slices.

    Returns:
        `dice`, the mean over the tissues of 2 |A and B| / (|A| + |B|) on the validation slices,
        which tuning may look at, `dice_grey` and `dice_white`; and the same as `test_dice` and so
        on, on the test slices, which it may not.
    """
    metrics = {}
    for part, prefix in (("validation", ""), ("test", "test_")):
        rows = segmentations["part"] == PARTS.index(part)
        found, true = segmentations["segmentation"][rows], segmentations["labels"][rows]
        for i, tissue in enumerate(TISSUES, start=1):
            both = ((found == i) & (true == i)).sum()
            metrics[f"{prefix}dice_{tissue}"] = float(
                2 * both / max(1, (found == i).sum() + (true == i).sum())
            )
        metrics[f"{prefix}dice"] = float(
            np.mean([metrics[f"{prefix}dice_{tissue}"] for tissue in TISSUES])
        )
    return metrics
