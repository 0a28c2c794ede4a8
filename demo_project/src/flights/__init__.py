"""Predict which flights out of New York City arrive late."""

__version__ = "0.1"
