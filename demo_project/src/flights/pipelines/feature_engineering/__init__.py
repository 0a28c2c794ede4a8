"""From the table of flights to the features that the learners see."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
