"""A Kedro pipeline and a search space become a stage graph."""

from kedro_eeipu.graph.parse import parse_space
from kedro_eeipu.graph.space import Objective, Range, SearchSpace
from kedro_eeipu.graph.stages import Stage, StageGraph

__all__ = ["Objective", "Range", "SearchSpace", "Stage", "StageGraph", "parse_space"]
