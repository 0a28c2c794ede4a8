"""What samplers have in common that are compared but are not Optuna's: one model for each trial."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import torch
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState
from torch.quasirandom import SobolEngine

from kedro_eeipu.search import Range, SearchSpace
from kedro_eeipu.study.encoding import distributions, from_unit

__all__ = ["ModelPeer"]


class ModelPeer(BaseSampler, ABC):
    """A sampler that is made again for each trial, so that a resumed study continues alike.

    Args:
        space: The ranges.
        seed: Seed of the study.
        warmup: Which point of a scrambled Sobol sequence to propose; `None` to ask the model.
    """

    def __init__(self, space: SearchSpace, seed: int, *, warmup: int | None = None) -> None:
        self.space = space
        self.seed = seed
        self.warmup = warmup
        self._distributions = distributions(space)
        self._defaults = {r.path: r.nearest(r.default) for r in space}
        self._independent = RandomSampler(seed=seed)

    @abstractmethod
    def next_values(
        self, trials: Sequence[FrozenTrial], goodness: Sequence[float]
    ) -> Mapping[str, Any]:
        """Values for all ranges, those of inactive ones of no matter.

        Args:
            trials: The trials with a value.
            goodness: Their values, of which larger ones are better.
        """

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return dict(self._distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self.warmup is not None:
            return self._active(self._warmup_values(self.warmup))
        done = [
            t
            for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if t.value is not None
        ]
        sign = 1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
        return self._active(self._modelled(done, [sign * float(t.value or 0.0) for t in done]))

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def complete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """A value for each range: the default's where a parameter is inactive."""
        return self._defaults | dict(params)

    def _active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {r.path: values[r.path] for r in self.space.active(values)}

    def _modelled(
        self, trials: Sequence[FrozenTrial], goodness: Sequence[float]
    ) -> Mapping[str, Any]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.manual_seed(self.seed * 10_000 + len(trials))
                return self.next_values(trials, goodness)
        finally:
            torch.set_num_threads(threads)

    def _warmup_values(self, number: int) -> dict[str, Any]:
        sobol = SobolEngine(len(self.space), scramble=True, seed=self.seed)
        point = sobol.draw(number + 1, dtype=torch.float64)[-1].tolist()
        return {r.path: _spread_evenly(r, u) for r, u in zip(self.space, point, strict=True)}


def _spread_evenly(r: Range, u: float) -> Any:
    """The value at a place u in [0, 1), where each of a range's levels has the same share."""
    if r.levels and not r.log:
        u = min(int(u * r.levels), r.levels - 1) / max(1, r.levels - 1)
    return from_unit(r, u)
