"""Tune the hyperparameters of a whole Kedro pipeline, paying only for the nodes that change."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def load_ipython_extension(ipython: Any) -> None:
    """What ``%load_ext kedro_eeipu`` calls: adds the magic ``%eeipu``."""
    from kedro_eeipu.cli.notebook import register

    register(ipython)
