"""From the raw tables to one table of flights."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
