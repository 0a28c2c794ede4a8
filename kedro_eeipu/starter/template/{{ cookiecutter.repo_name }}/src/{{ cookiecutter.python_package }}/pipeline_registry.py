"""The pipelines of the project."""

from kedro.pipeline import Pipeline

from .pipeline import create_pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines by name."""
    return {"__default__": create_pipeline()}
