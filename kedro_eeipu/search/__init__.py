"""A Kedro pipeline and a search space become a stage graph."""

from kedro_eeipu.search.block import parse_space
from kedro_eeipu.search.space import Objective, Range, SearchSpace
from kedro_eeipu.search.stages import Stage, StageGraph

__all__ = ["Objective", "Range", "SearchSpace", "Stage", "StageGraph", "parse_space"]
