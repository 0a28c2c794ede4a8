"""Three base learners, a stacker on top of them, and its evaluation."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
