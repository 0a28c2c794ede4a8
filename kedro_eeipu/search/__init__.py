"""A Kedro pipeline and a search space become a stage graph."""

from kedro_eeipu.search.block import parse_space
from kedro_eeipu.search.space import Objective, Range, SearchSpace
from kedro_eeipu.search.stages import PipelineStage, StageGraph

__all__ = ["Objective", "PipelineStage", "Range", "SearchSpace", "StageGraph", "parse_space"]
