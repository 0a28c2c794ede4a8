"""What other plugins do in every run, and should not do, or should end, while trials run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["active_mlflow_run", "end_mlflow_runs", "quiet"]

# Kedro-Viz rewrites a file that grows with every run to show the last one's status.
_NOT_WHILE_TUNING = ("kedro_viz",)


@contextmanager
def quiet(manager: Any) -> Iterator[None]:
    """Let Kedro and plugins that only slow a search down be silent.

    Args:
        manager: Pluggy's manager of the session's hooks.
    """
    silenced = [
        (name, plugin)
        for name, plugin in manager.list_name_plugin()
        if plugin is not None and type(plugin).__module__.split(".")[0] in _NOT_WHILE_TUNING
    ]
    for _, plugin in silenced:
        manager.unregister(plugin)
    kedro_logger = logging.getLogger("kedro")
    level = kedro_logger.level
    kedro_logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        kedro_logger.setLevel(level)
        for name, plugin in silenced:
            manager.register(plugin, name=name)


def active_mlflow_run() -> str | None:
    """Id of the MLflow run that is open in this process, if MLflow is in use at all."""
    mlflow: Any = sys.modules.get("mlflow")
    run = None if mlflow is None else mlflow.active_run()
    return None if run is None else str(run.info.run_id)


def end_mlflow_runs(outer: str | None) -> None:
    """End the MLflow runs that a trial has left open, up to the one that was open before it.

    kedro-mlflow leaves its run open when asked to nest, and always when interrupted; the next trial
    would then log into it.
    """
    while active_mlflow_run() not in (None, outer):
        sys.modules["mlflow"].end_run()
