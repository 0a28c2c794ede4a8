"""From spelling to phonemes: a T5 teacher, and a smaller student distilled from it in stages."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
