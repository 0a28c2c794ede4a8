"""Project pipelines."""

from __future__ import annotations

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

FLIGHTS = ("data_processing", "feature_engineering", "ensemble")


def register_pipelines() -> dict[str, Pipeline]:
    """Register the project's pipelines: the default one is about flights.

    Returns:
        A mapping from pipeline names to ``Pipeline`` objects.
    """
    pipelines = find_pipelines(raise_errors=True)
    flights = [pipeline for name, pipeline in pipelines.items() if name in FLIGHTS]
    pipelines["__default__"] = sum(flights, start=Pipeline([]))
    return pipelines
