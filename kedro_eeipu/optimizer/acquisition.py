"""EEIPU: expected improvement per expected unit of cost, memory included, for BoTorch models.

    EEIPU(x) = EI(x) * E[1 / C(x)]^eta,     C(x) = sum over run stages of c_s + load seconds

used as log EI(x) + eta * log E[1/C(x)]. In the paper eta is the share of the budget that is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.exceptions.errors import UnsupportedError
from botorch.models.model import Model
from botorch.utils.transforms import t_batch_mode_transform
from torch import Tensor

from kedro_eeipu.optimizer.inverse_cost import SAMPLES, base_samples, log_inverse_cost

__all__ = ["EEIPU", "StageCost"]

_COARSE_SAMPLES = 32
_LEAST_VARIANCE = 1e-20


@dataclass(frozen=True)
class StageCost:
    """What one stage of a pipeline costs, and what of it is in the cache.

    Args:
        model: a BoTorch model with one output, the natural logarithm of the seconds that the stage
            takes.
        columns: the columns of X that reach the stage, those of its ancestors included, in the
            order in which the model takes them. By default all.
        cached: `m x len(columns)`, the values of these columns for which the cache holds the
            stage's outputs. A point reuses the stage if it repeats one of these rows exactly.
        load: seconds to load the outputs.
    """

    model: Model
    columns: tuple[int, ...] | None = None
    cached: Tensor | None = None
    load: float = 0.0


class EEIPU(LogExpectedImprovement):
    r"""Expected-expected improvement per unit of cost (Essofi et al., arXiv 2411.03731), in logs.

    .. math::

        \log EI(x) + \eta \log E[1 / C(x)], \qquad
        C(x) = \sum_{s \notin M(x)} c_s(x_{A(s)}) + \sum_{s \in M(x)} e_s + o

    :math:`c_s` are the seconds that stage s takes, :math:`x_{A(s)}` the columns that reach it,
    :math:`M(x)` the stages whose outputs are in the cache for x, :math:`e_s` the seconds to load
    them, and :math:`o` the overhead. :math:`E[1/C]` is a quasi-Monte Carlo average over independent
    log-normal costs. EI is BoTorch's `LogExpectedImprovement`.

    A reused stage is cheap only where X has the exact values of a cached row. No gradient leads
    there: hold these columns with `fixed_features`, as `fixed_features_list` gives them.

    Example:
        >>> stages = [StageCost(first, (0,), cached=X[:, :1], load=0.1), StageCost(second)]
        >>> acqf = EEIPU(objective, stages, best_f=Y.max())
        >>> best, value = optimize_acqf_mixed(
        ...     acqf, bounds, q=1, num_restarts=4, raw_samples=64,
        ...     fixed_features_list=acqf.fixed_features_list(),
        ... )

    Args:
        model: a BoTorch model with one output, the objective, which is maximised.
        stages: the K stages of the pipeline.
        best_f: the value to improve on, in the unit of `model`.
        eta: exponent of E[1/C], in [0, 1]. 0 is expected improvement, 1 improvement per second.
        overhead: seconds that any trial takes besides its stages, more than 0.
        samples: number of quasi-random points of the average.

    Raises:
        ValueError: `eta`, `overhead`, `load` or the shape of `cached` is out of its range.
        UnsupportedError: a model has more than one output.
    """

    def __init__(
        self,
        model: Model,
        stages: Sequence[StageCost],
        best_f: float | Tensor,
        eta: float = 1.0,
        overhead: float = 1e-3,
        samples: int = SAMPLES,
    ) -> None:
        super().__init__(model, best_f)
        if not 0 <= eta <= 1:
            raise ValueError(f"eta is a share, from 0 to 1, not {eta}")
        if not 0 < overhead < math.inf:
            raise ValueError(f"overhead is in seconds, more than 0, not {overhead}")
        for s, stage in enumerate(stages):
            _check(s, stage)
        self.stages = tuple(stages)
        self.eta = eta
        self.overhead = overhead
        self.samples = base_samples(max(1, len(stages)), samples)[:, : len(stages)]

    def coarse(self) -> EEIPU:
        """The same function from fewer samples, good enough to choose starting points."""
        best = torch.as_tensor(self.best_f)
        return type(self)(self.model, self.stages, best, self.eta, self.overhead, _COARSE_SAMPLES)

    @t_batch_mode_transform(expected_q=1)  # type: ignore[arg-type]
    def forward(self, X: Tensor) -> Tensor:
        """The acquisition value of each point.

        Args:
            X: `b x 1 x d`.

        Returns:
            `b` values.
        """
        points = X.reshape(-1, X.shape[-1])
        return self.value(points, *self.paid(points)).view(X.shape[:-2])

    def value(self, X: Tensor, share: Tensor, load: Tensor) -> Tensor:
        """The acquisition value of points that each pay for their own set of stages, `B`.

        Args:
            X: `B x d`.
            share: `B x K`, share of each stage's cost that is paid, see `log_inverse_cost`.
            load: `B`, seconds that are spent besides, more than 0.
        """
        log_ei, log_inverse = self.parts(X, share, load)
        return log_ei + self.eta * log_inverse

    def parts(self, X: Tensor, share: Tensor, load: Tensor) -> tuple[Tensor, Tensor]:
        """log EI and log E[1/C], each `B`; arguments as for `value`."""
        log_ei = super().forward(X.unsqueeze(-2))
        mean, deviation = self.log_costs(X)
        return log_ei, log_inverse_cost(mean, deviation, share, load, self.samples.to(X))

    def log_costs(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of log seconds at `B x d`, each `B x K`."""
        if not self.stages:
            return X.new_zeros(len(X), 0), X.new_zeros(len(X), 0)
        means, variances = [], []
        for stage in self.stages:
            points = X if stage.columns is None else X[:, list(stage.columns)]
            posterior: Any = stage.model.posterior(points.unsqueeze(-2))
            means.append(posterior.mean[:, 0])
            variances.append(posterior.variance[:, 0])
        return torch.cat(means, -1), torch.cat(variances, -1).clamp(min=_LEAST_VARIANCE).sqrt()

    def paid(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """What points `B x d` pay: the share of each stage, `B x K`, and other seconds, `B`."""
        share = X.new_ones(len(X), len(self.stages))
        load = X.new_full((len(X),), self.overhead)
        for s, stage in enumerate(self.stages):
            if stage.cached is not None:
                values = X if stage.columns is None else X[:, list(stage.columns)]
                reused = (values[:, None] == stage.cached.to(X)).all(-1).any(-1)
                share[:, s] = torch.where(reused, 0.0, 1.0)
                load = load + torch.where(reused, stage.load, 0.0)
        return share, load

    def fixed_features_list(self) -> list[dict[int, float]]:
        """Columns to hold in turn, by index, so that cached stages are reused; first none.

        For `optimize_acqf_mixed`. Rows that hold the same values are listed once.
        """
        held: dict[tuple[tuple[int, float], ...], None] = {(): None}
        for stage in self.stages:
            for row in [] if stage.cached is None else stage.cached.tolist():
                columns = range(len(row)) if stage.columns is None else stage.columns
                held[tuple(zip(columns, row, strict=True))] = None
        return [dict(pairs) for pairs in held]


def _check(s: int, stage: StageCost) -> None:
    if stage.model.num_outputs != 1:
        raise UnsupportedError(f"the cost model of stage {s} has more than one output")
    if not 0 <= stage.load < math.inf:
        raise ValueError(f"stage {s}: load is in seconds, at least 0, not {stage.load}")
    columns, cached = stage.columns, stage.cached
    if cached is not None:
        wanted: Any = cached.shape[-1] if columns is None else len(columns)
        if cached.dim() != 2 or cached.shape[-1] != wanted:
            shape = "m x d" if columns is None else f"m x {wanted}"
            raise ValueError(f"stage {s}: cached is {shape}, not {tuple(cached.shape)}")
