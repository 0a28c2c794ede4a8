"""What the trials of a related objective say about today's.

The related objective may be that of the code or the data before an edit, or of other ranges. Its
own surrogate is fitted to its trials, and the posterior mean m of that, without effects of
executions, enters today's surrogate as one more part of the sum,

    y = constant + b m(x) + today's own Gaussian process + noise,   b ~ N(0, s),

which adds s m(x) m(x') to today's kernel. The scale s is fitted as the other ones are. Values need
not be in the same unit or of the same size: b makes up for it. What b m(x) misses, such as an
optimum that has moved, is learnt by today's own process. This model is used only while it makes
today's trials more likely than the one without, and b is expected to be positive: what was better
then is better now. Else proposals are those of an optimizer that does not know the study.

References: Schilling, Wistuba and Schmidt-Thieme 2016 and Golovin et al. 2017 (Google Vizier,
section 3.3) model what the mean of an earlier surrogate misses; here its weight is learnt, too.

Notation:

==========  =======================================================================
n, d        trials of the related objective, columns
m           posterior mean of the related objective, standardised and possibly warped
a           K^-1 (y - constant) of the related objective's surrogate, n
==========  =======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from kedro_eeipu.optimizer.kernels import StageKernel
from kedro_eeipu.optimizer.stages import ReuseGraph, Stage
from kedro_eeipu.optimizer.training import Training, Trial
from kedro_eeipu.optimizer.unit_cube import Dimension, Space

__all__ = ["Former", "best_ranking"]

# Its surrogate sees at most so many trials: the best one and others evenly spaced.
_MOST_TRIALS = 150


class Former:
    """Trials of an objective that is related to today's; the larger a value the better.

    Its surrogate is fitted once, when it is first needed.

    Args:
        dimensions: d tuned parameters, as today.
        stages: the stage graph, as today.
        points: n configurations of length d, NaN where a parameter is inactive. Columns without
            levels may lie outside [0, 1], where the ranges of these trials were wider.
        values: n objectives.
        unknown: columns that these trials say nothing about. They may hold anything.

    Raises:
        ValueError: there are fewer than two trials, not as many values, a value is not finite, or a
            point has not d columns.
    """

    def __init__(
        self,
        dimensions: Sequence[Dimension],
        stages: Sequence[Stage],
        points: Sequence[Sequence[float]],
        values: Sequence[float],
        unknown: Iterable[int] = (),
    ) -> None:
        space = Space(dimensions)
        if len(points) < 2 or len(points) != len(values):
            raise ValueError(f"{len(points)} points and {len(values)} values: two at least of each")
        if not all(math.isfinite(value) for value in values):
            raise ValueError("the values of a former study must be finite")
        for x in points:
            if len(x) != space.d:
                raise ValueError(f"a former point has {len(x)} of {space.d} columns")
        self._unknown = sorted(unknown)
        self._training = Training(space, ReuseGraph(stages, space))
        keep = _kept(values)
        self._trials = [Trial(self._placed(points[i]), float(values[i]), {}, {}) for i in keep]

    @property
    def d(self) -> int:
        """Number of tuned parameters."""
        return self._training.space.d

    def mean(self, z: Tensor) -> Tensor:
        """m at latent points, `... x d`: `...`, in standard deviations of the related objective."""
        kernel, features, a, constant, _ = self._fitted
        if self._unknown:
            z = z.clone()
            z[..., self._unknown] = _PLACE
        own = self._training.features(z.reshape(-1, z.shape[-1]))
        return (constant + kernel.forward(own, features) @ a).reshape(z.shape[:-1])

    @property
    def lengthscale(self) -> Tensor:
        """`d`, of the related objective's surrogate."""
        return self._fitted[-1]

    def concordance(self, z: Tensor, y: Tensor) -> float:
        """Share of the pairs of points `n x d` that m ranks as their objectives `n` do.

        Pairs of equal objectives are left out; one half where there are no others.
        """
        first, second = torch.triu_indices(len(y), len(y), offset=1)
        m = self.mean(z)
        told, expected = (y[first] - y[second]).sign(), (m[first] - m[second]).sign()
        different = told != 0
        agreement = (told * expected)[different]
        return 0.5 + 0.5 * float(agreement.mean()) if len(agreement) else 0.5

    @cached_property
    def _fitted(self) -> tuple[StageKernel, Tensor, Tensor, float, Tensor]:
        """The kernel without executions, the features of the trials, a, constant, lengthscales."""
        data, fit = self._training.objective(self._trials)
        _, a = self._training.surrogate(data, fit).solved()
        smooth = replace(fit, execution_scale=fit.execution_scale[:0])
        kernel = StageKernel(data.groups, self._training.space.feature_column, (), smooth)
        kernel.requires_grad_(False)
        return kernel, data.features, a, fit.constant, fit.lengthscale

    def _placed(self, x: Sequence[float]) -> tuple[float, ...]:
        return tuple(_PLACE if j in self._unknown else float(v) for j, v in enumerate(x))


def best_ranking(former: Sequence[Former], z: Tensor, trials: Sequence[Trial]) -> Former | None:
    """The study that ranks today's trials best, the first of equals; None of no study.

    Args:
        former: the studies.
        z: `n x d`, latent points of today's trials.
        trials: n of today's trials, with a value each.
    """
    if not former:
        return None
    y = torch.tensor([trial.y for trial in trials], dtype=torch.float64)
    return max(former, key=lambda study: study.concordance(z, y))


# Where columns stand that nothing is known about.
_PLACE = 0.5


def _kept(values: Sequence[float]) -> list[int]:
    """Which trials the surrogate sees, in their order."""
    n = len(values)
    if n <= _MOST_TRIALS:
        return list(range(n))
    spaced = torch.linspace(0, n - 1, _MOST_TRIALS).round().long().tolist()
    return sorted({*spaced, max(range(n), key=values.__getitem__)})
