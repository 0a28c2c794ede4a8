"""From a brain template to the grey and white matter that a U-Net finds in noisy scans of it."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
