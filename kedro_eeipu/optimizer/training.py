"""What the surrogates learn from finished trials: targets, kernels, fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Protocol

import torch
from torch import Tensor

from kedro_eeipu.optimizer.hyperparameters import (
    LENGTHSCALE_PRIOR,
    Hyperparameters,
    fit_hyperparameters,
    fitted_points,
)
from kedro_eeipu.optimizer.stages import ReuseGraph
from kedro_eeipu.optimizer.surrogates import Features, Surrogate, TrainingData
from kedro_eeipu.optimizer.unit_cube import Space
from kedro_eeipu.optimizer.warping import Warped, warpings

__all__ = ["Groups", "Related", "Training", "Trial", "WholeTraining", "load_seconds", "usual_costs"]

_SMALLEST_COST = 1e-6
_SMALLEST_LOG_COST_SCALE = 1e-2
# What a failed trial counts as is not further below the mean, in standard deviations: one terrible
# value is no measure of failure.
_WORST = -3.0

# A related objective is made use of if the data are more likely with its slope than with its
# lengthscales alone, and not much less likely than with lengthscales of their own; in logarithms.
_SUPPORT = 0.1
_BEHIND = 3.0

Groups = tuple[frozenset[int], ...]


class Related(Protocol):
    """What is known of a related objective."""

    def mean(self, z: Tensor) -> Tensor:
        """What it lets expect at latent points, `... x d`: `...`."""

    @property
    def lengthscale(self) -> Tensor:
        """`d`, of its surrogate."""


@dataclass(frozen=True)
class Trial:
    """A finished trial.

    Args:
        x: configuration of length d on the unit cube, NaN where a parameter is inactive.
        y: objective to maximise, None where there is none.
        stage_costs: seconds of the stages that ran.
        load_costs: seconds to load the outputs of the stages that were reused.
        failed: whether it failed; without a value it may also have been stopped from outside.
        costs_only: whether it reports costs alone: its objective, had it one, was another.
    """

    x: tuple[float, ...]
    y: float | None
    stage_costs: Mapping[int, float]
    load_costs: Mapping[int, float]
    failed: bool = False
    costs_only: bool = False

    @property
    def seconds(self) -> float:
        """Of all stages that ran or were loaded."""
        return sum(self.stage_costs.values()) + sum(self.load_costs.values())


@dataclass(frozen=True)
class _Fitted:
    """A candidate surrogate of the objective, and the logarithm of its evidence."""

    warped: Warped
    data: TrainingData
    fit: Hyperparameters
    evidence: float

    @property
    def likelihood(self) -> float:
        """The logarithm of the evidence without the prior of the lengthscales."""
        log_lengthscale = self.fit.lengthscale.log().numpy()
        return self.evidence - float(LENGTHSCALE_PRIOR.log_density(log_lengthscale).sum())


class Training:
    """Training sets and fits of the objective's surrogate and of those of the stages' costs.

    Args:
        space: the search space.
        graph: the stages.
    """

    def __init__(self, space: Space, graph: ReuseGraph) -> None:
        self.space = space
        self.graph = graph

    def points(self, configurations: Sequence[Sequence[float]]) -> Tensor:
        """Latent points of configurations, `n x d`."""
        return self.space.reveal(torch.tensor(configurations, dtype=torch.float64))

    def features(self, z: Tensor) -> Tensor:
        """`n x D`, of latent points `n x d`."""
        return self.space.features(z, self.space.active(z))

    def fit(
        self,
        part: TrainingData,
        start: Hyperparameters | None = None,
        lengthscale: Tensor | None = None,
    ) -> Hyperparameters:
        """Hyperparameters of one surrogate; those of no data where there are none."""
        y = (part.y - part.offset) / part.scale
        if len(y) == 0:
            ones = torch.ones(self.space.d, dtype=torch.float64)
            return Hyperparameters(ones, ones[:1], 1.0, 0.0)
        column, d = self.space.feature_column, self.space.d
        own = part.features[:, : len(column)]
        expected = part.features[:, len(column) :]
        return fit_hyperparameters(
            own, y, column, part.groups, d, start, part.executions, expected, lengthscale
        )

    def surrogate(self, part: TrainingData, fit: Hyperparameters | None = None) -> Surrogate:
        """A model of latent points, fitted unless `fit` is given. It keeps its hyperparameters."""
        fit = fit or self.fit(part)
        column, transform = self.space.feature_column, Features(self.space, part.expects)
        if part.expects is not None:  # the last feature belongs to no column
            column = torch.cat([column, torch.tensor([self.space.d])])
        surrogate = Surrogate(part, fit, column, transform)
        surrogate.requires_grad_(False)
        return surrogate

    def models(
        self,
        trials: Sequence[Trial],
        pending: Sequence[Sequence[float]] = (),
        related: Related | None = None,
    ) -> tuple[Surrogate, list[Surrogate]]:
        """Surrogates of the objective and of the log cost of each stage.

        Pending trials are taken to end as the objective's mean predicts.
        """
        data, fit = self.objective(trials, related)
        objective = self.surrogate(data, fit)
        if pending:
            points = self.points(pending)
            mean = objective.posterior(points).mean[:, 0]
            features = Features(self.space, data.expects).transform(points)
            objective = self.surrogate(data.extended(points, features, mean), fit)
        return objective, [self.surrogate(part) for part in self.costs(trials)]

    def objective(
        self, trials: Sequence[Trial], related: Related | None = None
    ) -> tuple[TrainingData, Hyperparameters]:
        """Training data and fit of `warped_objective`."""
        _, data, fit = self.warped_objective(trials, related)
        return data, fit

    def warped_objective(
        self, trials: Sequence[Trial], related: Related | None = None
    ) -> tuple[Warped, TrainingData, Hyperparameters]:
        """The candidate of the highest evidence, of trials of which at least two have a value.

        The training points are those of the trials with a value, then those of the failed ones,
        which count as the worst of the others does. Unknown as they are, an optimizer that does
        not learn from them proposes the neighbours of what failed again and again.
        """
        valued = [t for t in trials if t.y is not None]
        failed = [t for t in trials if t.failed]
        points = self.points([t.x for t in [*valued, *failed]])
        features = self.features(points)
        y = torch.tensor([t.y for t in valued], dtype=torch.float64)
        fitted = fitted_points(len(features))
        fitted = fitted[fitted < len(valued)]
        alone: list[_Fitted] = []
        informed: list[_Fitted] = []
        gains: list[float] = []
        for warped, groups in self.objective_models(y):
            bad = warped.y.min().clamp(min=_WORST)
            targets = torch.cat([warped.y, bad.expand(len(failed))])
            data = TrainingData(
                features, targets, groups, executions=self.executions(), points=points
            )
            same = [model.fit for model in alone if model.data.groups == groups]
            fit = self.fit(data, same[-1] if same else None)
            # Densities of the same points: those of the fit.
            density = float(warped.log_slope[fitted].sum()) + warped.log_prior
            alone.append(_Fitted(warped, data, fit, fit.log_posterior + density))
            if related is not None:
                without = self.fit(data, fit, related.lengthscale)
                seen = Features(self.space, related.mean).transform(points)
                data = replace(data, features=seen, expects=related.mean)
                fit = self.fit(data, without, related.lengthscale)
                informed.append(_Fitted(warped, data, fit, fit.log_posterior + density))
                gains.append(fit.log_posterior - without.log_posterior)
        best = max(alone, key=lambda model: model.evidence)
        if related is not None:
            i = max(range(len(informed)), key=lambda i: informed[i].evidence)
            close = informed[i].likelihood > best.likelihood - _BEHIND
            if close and gains[i] > _SUPPORT and self._rises(informed[i]):
                best = informed[i]
        return best.warped, best.data, best.fit

    def _rises(self, model: _Fitted) -> bool:
        """Whether the objective is expected to be better where the related one is."""
        _, a = self.surrogate(model.data, model.fit).solved()
        return float(model.data.features[:, -1] @ a) > 0

    def objective_models(self, y: Tensor) -> list[tuple[Warped, Groups]]:
        """Candidate surrogates: warpings, with the columns that each kernel component sees."""
        everything = frozenset(range(self.space.d))
        own = [group for group in self.graph.own_columns if group]
        groups = (everything, *own) if len(own) > 1 else (everything,)
        return [(warped, groups) for warped in warpings(y)]

    def executions(self) -> Groups:
        """Of the stages whose outputs trials may share: those that not all columns reach."""
        distinct = dict.fromkeys(self.graph.columns)
        return tuple(columns for columns in distinct if columns and columns < self.graph.reached)

    def costs(self, trials: Sequence[Trial]) -> list[TrainingData]:
        """Log seconds per stage; a stage that never ran is expected to cost as the others do."""
        points = self.points([t.x for t in trials])
        features = self.features(points)
        everything: list[float] = []
        observed: list[tuple[list[int], Tensor]] = []
        for s in range(len(self.graph)):
            rows = [i for i, trial in enumerate(trials) if s in trial.stage_costs]
            seconds = [max(trials[i].stage_costs[s], _SMALLEST_COST) for i in rows]
            observed.append((rows, torch.tensor(seconds, dtype=torch.float64).log()))
            everything += observed[-1][1].tolist()
        usual = sum(everything) / len(everything) if everything else 0.0
        data = []
        for s, (rows, y) in enumerate(observed):
            offset = float(y.mean()) if len(y) else usual
            scale = float(y.std(correction=0)) if len(y) > 1 else 1.0
            scale = max(scale, _SMALLEST_LOG_COST_SCALE)
            data.append(
                TrainingData(
                    features[rows], y, self.cost_groups(s), offset, scale, points=points[rows]
                )
            )
        return data

    def cost_groups(self, s: int) -> Groups:
        """All columns that reach the stage: what happens upstream may change what it costs."""
        return (self.graph.columns[s],)


class WholeTraining(Training):
    """One kernel component for all columns, where one more per stage would take too long."""

    def objective_models(self, y: Tensor) -> list[tuple[Warped, Groups]]:
        return [(warped, groups[:1]) for warped, groups in super().objective_models(y)]


def usual_costs(trials: Sequence[Trial], stages: int) -> list[float]:
    """Mean seconds of each stage where it ran; 0 where it never did."""
    ran = [[t.stage_costs[s] for t in trials if s in t.stage_costs] for s in range(stages)]
    return [math.fsum(seconds) / len(seconds) if seconds else 0.0 for seconds in ran]


def load_seconds(trials: Sequence[Trial], stages: int) -> list[float]:
    """Median measured seconds to load each stage's outputs; 0 where never measured."""
    return [
        median([t.load_costs[s] for t in trials if s in t.load_costs] or [0.0])
        for s in range(stages)
    ]
