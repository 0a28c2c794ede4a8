"""Samplers compared on a user's own pipeline: same warm-up, same budget, each with an account."""

from kedro_eeipu.comparison.contest import Comparison
from kedro_eeipu.comparison.document import as_json
from kedro_eeipu.comparison.results import Run
from kedro_eeipu.comparison.sampler_choice import SAMPLERS

__all__ = ["SAMPLERS", "Comparison", "Run", "as_json"]
