"""The EEIPU Bayesian optimizer: stage costs and objective in, proposals out."""

from __future__ import annotations

from kedro_eeipu.optimizer.acquisition import EEIPU, StageCost
from kedro_eeipu.optimizer.former import Former
from kedro_eeipu.optimizer.optimizer import Optimizer
from kedro_eeipu.optimizer.proposal import Proposal
from kedro_eeipu.optimizer.stages import Stage
from kedro_eeipu.optimizer.unit_cube import Dimension

__all__ = ["EEIPU", "Dimension", "Former", "Optimizer", "Proposal", "Stage", "StageCost"]
