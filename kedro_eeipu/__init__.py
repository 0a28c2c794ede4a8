"""Tune the hyperparameters of a whole Kedro pipeline, paying only for the nodes that change."""

__version__ = "0.1.0"
