"""Peers on BoTorch: log expected improvement, and the same per cooled unit of cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.models.transforms.input import NumericToCategoricalEncoding
from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
from botorch.utils.transforms import t_batch_mode_transform
from gpytorch.mlls import ExactMarginalLogLikelihood
from optuna.trial import FrozenTrial
from torch import Tensor

from kedro_eeipu.comparison.model_peer import ModelPeer
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.study.encoding import from_unit, to_unit

__all__ = ["LogEIPerCost", "LogEISampler"]

_LEAST_SECONDS = 1e-3


class LogEISampler(ModelPeer):
    """LogEI (Ament et al., 2023) on BoTorch's default Gaussian process, over mixed spaces.

    With `cost` it is CArBO's acquisition (Lee et al., 2020): log EI minus the expected log cost of
    the whole trial times the share of the budget that is left.

    Args:
        space: The ranges.
        seed: Of the restarts.
        warmup: Which point of a Sobol sequence to propose; `None` to ask the model.
        cost: Seconds that a finished trial took.
        budget_left: The share of the budget that is left, in [0, 1].
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        *,
        warmup: int | None = None,
        cost: Callable[[FrozenTrial], float] | None = None,
        budget_left: float = 1.0,
    ) -> None:
        super().__init__(space, seed, warmup=warmup)
        self.cost = cost
        self.budget_left = budget_left

    def next_values(
        self, trials: Sequence[FrozenTrial], goodness: Sequence[float]
    ) -> Mapping[str, Any]:
        x = torch.tensor([self._point(t.params) for t in trials], dtype=torch.float64)
        y = torch.tensor(goodness, dtype=torch.float64)
        best = self._maximised(self._acquisition(x, y, trials))
        return {
            r.path: r.choices[round(u)] if r.kind == "categorical" else from_unit(r, u)
            for r, u in zip(self.space, best, strict=True)
        }

    def _point(self, params: Mapping[str, Any]) -> list[float]:
        """Coordinates: numbers on the unit interval, categories by number."""
        values = self.complete(params)
        return [
            float(self._distributions[r.path].to_internal_repr(values[r.path]))
            if r.kind == "categorical"
            else to_unit(r, values[r.path])
            for r in self.space
        ]

    def _acquisition(
        self, x: Tensor, y: Tensor, done: Sequence[FrozenTrial]
    ) -> LogExpectedImprovement:
        model = self._fitted(x, y)
        if self.cost is None:
            return LogExpectedImprovement(model, y.max())
        seconds = torch.tensor([max(self.cost(t), _LEAST_SECONDS) for t in done]).double()
        return LogEIPerCost(model, y.max(), self._fitted(x, seconds.log()), self.budget_left)

    def _fitted(self, x: Tensor, y: Tensor) -> SingleTaskGP:
        encoding = self._encoding()
        model = SingleTaskGP(
            x, y[:, None], input_transform=encoding, outcome_transform=Standardize(1)
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model

    def _encoding(self) -> NumericToCategoricalEncoding | None:
        """Categories as one column each."""
        categories = {j: r.levels for j, r in enumerate(self.space) if r.kind == "categorical"}
        if not categories:
            return None
        return NumericToCategoricalEncoding(
            dim=len(self.space),
            categorical_features=categories,
            encoders={j: partial(_one_hot, n) for j, n in categories.items()},
        )

    def _maximised(self, acquisition: LogExpectedImprovement) -> list[float]:
        bounds, discrete, categories = [], {}, {}
        for j, r in enumerate(self.space):
            bounds.append((0.0, 1.0))
            if r.kind == "categorical":
                bounds[j] = (0.0, r.levels - 1.0)
                categories[j] = [float(i) for i in range(r.levels)]
            elif r.levels and not r.log:
                discrete[j] = [i / max(1, r.levels - 1) for i in range(r.levels)]
        best, _ = optimize_acqf_mixed_alternating(
            acquisition,
            torch.tensor(bounds, dtype=torch.float64).T,
            discrete_dims=discrete,
            cat_dims=categories,
            raw_samples=256,
            num_restarts=4,
            options={"maxiter_alternating": 8},
        )
        return best[0].tolist()


def _one_hot(choices: int, column: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(column.round().long(), choices).to(torch.float64)


class LogEIPerCost(LogExpectedImprovement):
    """log EI - exponent * E[log cost]: with exponent 1 EI per unit cost (Snoek et al., 2012), with
    the share of the budget that is left CArBO (Lee et al., 2020)."""

    def __init__(
        self, model: SingleTaskGP, best_f: Tensor, log_cost: SingleTaskGP, exponent: float
    ) -> None:
        super().__init__(model, best_f)
        self.log_cost = log_cost
        self.exponent = exponent

    @t_batch_mode_transform(expected_q=1)  # type: ignore[arg-type]
    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X) - self.exponent * self.log_cost.posterior(X).mean[..., 0, 0]
