"""What the nodes do."""

import logging

import numpy as np
from scipy.ndimage import affine_transform
from sklearn import datasets
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

SEED = 0
logger = logging.getLogger(__name__)


def load_digits():
    """Images of 8 by 8 pixels and their digits: for training, validation and testing."""
    digits = datasets.load_digits()
    images = digits.images / 16
    rest, test = _split(images, digits.target, 400)
    train, validation = _split(*rest, 400)
    return train, validation, test


def _split(images, labels, size):
    first, second, first_labels, second_labels = train_test_split(
        images, labels, test_size=size, random_state=SEED, stratify=labels
    )
    return (first, first_labels), (second, second_labels)


def augment(train, options):
    """Add turned and shifted copies of the training images."""
    images, labels = train
    random = np.random.default_rng(SEED)
    copies = [images]
    for _ in range(options["copies"]):
        angles = np.radians(random.uniform(-options["turn"], options["turn"], len(images)))
        shifts = random.uniform(-options["shift"], options["shift"], (len(images), 2))
        copies.append(np.stack([_moved(*each) for each in zip(images, angles, shifts)]))
    return np.concatenate(copies), np.tile(labels, len(copies))


def _moved(image, angle, shift):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    center = np.array(image.shape) / 2 - 0.5
    return affine_transform(image, turn, offset=center - turn @ center + shift, order=1)


def fit_features(augmented, options):
    """Learn a feature map, and apply it to the training images."""
    images, labels = augmented
    feature_map = Nystroem(
        gamma=options["gamma"], n_components=options["components"], random_state=SEED
    )
    return feature_map, (feature_map.fit_transform(_flat(images)), labels)


def fit_model(train_features, options):
    """Train a classifier on the features."""
    features, labels = train_features
    return LogisticRegression(C=options["C"], max_iter=300).fit(features, labels)


def evaluate(model, feature_map, data):
    """How well the classifier reads images that it has not seen."""
    images, labels = data
    chances = model.predict_proba(feature_map.transform(_flat(images)))
    metrics = {
        "log_loss": float(log_loss(labels, chances)),
        "accuracy": float(accuracy_score(labels, chances.argmax(axis=1))),
    }
    logger.info("metrics: %s", metrics)
    return metrics


def _flat(images):
    return images.reshape(len(images), -1)
