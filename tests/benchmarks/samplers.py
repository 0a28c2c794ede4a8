"""The samplers that are compared, all behind `ask` and `tell` on the unit cube."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest import mock

import numpy as np
import optuna
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim.optimize import optimize_acqf
from gpytorch.kernels import MaternKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import GammaPrior
from problems import Problem
from simulate import Point, Sampler
from torch import Tensor

from kedro_eeipu.comparison.botorch_peers import LogEIPerCost, LogEISampler
from kedro_eeipu.optimizer import Dimension, Optimizer, Proposal, hyperparameters
from kedro_eeipu.optimizer.cut_search import CutTable
from kedro_eeipu.optimizer.cuts import CacheView
from kedro_eeipu.optimizer.training import Groups, Training
from kedro_eeipu.optimizer.warping import Warped
from kedro_eeipu.search import Objective, Range, SearchSpace, StageGraph
from kedro_eeipu.study.encoding import distributions, from_unit
from kedro_eeipu.study.peers import propose
from kedro_eeipu.study.sampler import EEIPUSampler

Make = Callable[[Problem, int], Sampler]


class EEIPU:
    """The optimizer of this package, or a variant of it.

    Args:
        problem: what is tuned.
        seed: of the optimizer.
        variant: the optimizer's class.
        cooling: whether the exponent of cost is the share of the budget that is left, or 1.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        variant: type[Optimizer] = Optimizer,
        *,
        cooling: bool = False,
    ) -> None:
        self.optimizer = variant(problem.dimensions, problem.stages, seed=seed, warmup=2)
        self.cooling = cooling

    def ask(self, budget_left: float) -> Point | None:
        return self.optimizer.ask(budget_left=budget_left if self.cooling else 1.0).x

    def tell(
        self,
        x: Point,
        y: float,
        stage_costs: Mapping[int, float],
        load_costs: Mapping[int, float],
    ) -> None:
        self.optimizer.tell(x, y, stage_costs, load_costs)


class NeverRegardless(Optimizer):
    """Cost counts in every proposal, however little cheap trials have been of use."""

    def _fruitless(self, view: CacheView, pending: Sequence[Sequence[float]]) -> bool:
        return False


class UnscaledDistances(Optimizer):
    """Lengthscales that do not know how many columns they share a distance with."""

    def ask(self, **options: Any) -> Proposal:
        with mock.patch.object(hyperparameters, "_UNSCALED_COLUMNS", self._space.d):
            return super().ask(**options)


class NoEffects(Training):
    """Without random effects of executions."""

    def executions(self) -> Groups:
        return ()


class OneKernel(Training):
    """Without the kernels of single stages."""

    def objective_models(self, y: Tensor) -> list[tuple[Warped, Groups]]:
        return [(warped, groups[:1]) for warped, groups in super().objective_models(y)]


class NoWarping(Training):
    """Objectives on their own scale."""

    def objective_models(self, y: Tensor) -> list[tuple[Warped, Groups]]:
        return super().objective_models(y)[:1]


class OwnCosts(Training):
    """The cost of a stage as a function of the parameters that enter with it."""

    def cost_groups(self, s: int) -> Groups:
        return (self.graph.own_columns[s],)


class PaperTraining(NoEffects, OneKernel, NoWarping, OwnCosts):
    """All of these."""


class PaperOptimizer(UnscaledDistances, NeverRegardless):
    """EEIPU from the formulas of the paper.

    One Matern-5/2 kernel for the objective, which is standardised but not warped; the cost of a
    stage as a function of the stage's own parameters; prefixes of the five best trials.
    """

    trained_by = PaperTraining

    def _cut_table(self, view: CacheView, pending: list[Point], ranked: list[int]) -> CutTable:
        best = sorted(ranked, key=lambda t: self._trials[t].y or 0.0, reverse=True)[:5]
        return super()._cut_table(view, pending, best)


def trained(kind: type[Training]) -> type[Optimizer]:
    """The optimizer with another training of its surrogates."""
    return type(kind.__name__, (Optimizer,), {"trained_by": kind})


class NoMemory(Optimizer):
    """Full price for every trial: nothing but the empty cut is searched."""

    def _cut_table(self, view: CacheView, pending: list[Point], ranked: list[int]) -> CutTable:
        return super()._cut_table(view, pending, [])


class FivePrefixes(Optimizer):
    """Cuts of the five best trials only."""

    def _cut_table(self, view: CacheView, pending: list[Point], ranked: list[int]) -> CutTable:
        return super()._cut_table(view, pending, ranked[:5])


class PaperEEIPUInBox:
    """EEIPU from the paper, searching the box that the points seen so far span, as released."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem = problem
        self.seed = seed
        self.told: list[tuple[Point, float, Mapping[int, float], Mapping[int, float]]] = []

    def ask(self, budget_left: float) -> Point:
        points = np.array([x for x, *_ in self.told])
        low, high = points.min(0), points.max(0)
        optimizer = PaperOptimizer(
            [Dimension()] * self.problem.d, self.problem.stages, seed=self.seed, warmup=2
        )
        for x, y, stage_costs, load_costs in self.told:
            scaled = (np.array(x) - low) / (high - low)
            optimizer.tell(scaled.tolist(), y, stage_costs, load_costs)
        proposal = optimizer.ask(budget_left=budget_left)
        x = (low + np.array(proposal.x) * (high - low)).tolist()
        for j, owner in enumerate(proposal.owners):
            if owner is not None:
                x[j] = self.told[owner][0][j]
        return tuple(x)

    def tell(
        self,
        x: Point,
        y: float,
        stage_costs: Mapping[int, float],
        load_costs: Mapping[int, float],
    ) -> None:
        self.told.append((x, y, stage_costs, load_costs))


class Random:
    """Uniform points; with `levels` points of a grid, so that stages are met again."""

    def __init__(self, problem: Problem, seed: int, levels: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.problem = problem
        self.levels = levels

    def ask(self, budget_left: float) -> Point:
        u = self.rng.random(self.problem.d)
        if self.levels:
            u = np.floor(u * self.levels) / (self.levels - 1)
        return self.problem.configuration(u.tolist())

    def tell(
        self,
        x: Point,
        y: float,
        stage_costs: Mapping[int, float],
        load_costs: Mapping[int, float],
    ) -> None:
        """Random points do not learn."""


class OptunaSampler:
    """A sampler of Optuna."""

    def __init__(self, problem: Problem, sampler: optuna.samplers.BaseSampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.ranges: dict[str, optuna.distributions.BaseDistribution] = {
            f"x{j}": optuna.distributions.FloatDistribution(0, 1) for j in range(problem.d)
        }

    def ask(self, budget_left: float) -> Point:
        trial = self.study.ask(self.ranges)
        return tuple(trial.params[name] for name in self.ranges)

    def tell(
        self,
        x: Point,
        y: float,
        stage_costs: Mapping[int, float],
        load_costs: Mapping[int, float],
    ) -> None:
        self.study.add_trial(
            optuna.trial.create_trial(
                params=dict(zip(self.ranges, x, strict=True)), distributions=self.ranges, value=y
            )
        )


def _gamma_priors(d: int) -> dict[str, Any]:
    """Kernel and likelihood of BoTorch up to 0.11, for inputs of d columns."""
    base = MaternKernel(nu=2.5, ard_num_dims=d, lengthscale_prior=GammaPrior(3.0, 6.0))
    return {
        "covar_module": ScaleKernel(base, outputscale_prior=GammaPrior(2.0, 0.15)),
        "likelihood": GaussianLikelihood(noise_prior=GammaPrior(1.1, 0.05)),
    }


class MixedSampler:
    """A sampler of Optuna on a space with levels, categories and conditions.

    Asked as `kedro eeipu tune` asks its peers.
    """

    def __init__(
        self, problem: Problem, make: Callable[[SearchSpace], optuna.samplers.BaseSampler]
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        ranges = [_range(j, dimension) for j, dimension in enumerate(problem.dimensions)]
        self.space = SearchSpace(tuple(ranges), Objective("y", "", "maximize"))
        self.sampler = make(self.space)
        self.unit_cube = EEIPUSampler(self.space, StageGraph(()))
        self.distributions = distributions(self.space)
        self.params: dict[str, Any] | None = None
        self.trials: list[optuna.trial.FrozenTrial] = []

    def ask(self, budget_left: float) -> Point:
        if isinstance(self.sampler, MixedBoTorchEI):
            self.sampler.spend(budget_left)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            direction = optuna.study.StudyDirection.MAXIMIZE
            self.params = propose(self.sampler, self.trials, direction, self.space)
        return self.unit_cube.point(self.params)

    def tell(
        self,
        x: Point,
        y: float,
        stage_costs: Mapping[int, float],
        load_costs: Mapping[int, float],
    ) -> None:
        params = self.params or {
            r.path: from_unit(r, u) for r, u in zip(self.space, x, strict=True) if u == u
        }
        self.params = None
        trial = optuna.trial.create_trial(
            params=params,
            distributions={path: self.distributions[path] for path in params},
            value=y,
            user_attrs={"seconds": sum(stage_costs.values()) + sum(load_costs.values())},
        )
        trial.number = len(self.trials)
        self.trials.append(trial)


class MixedBoTorchEI(LogEISampler):
    """What `BoTorchEI` is on numbers, for spaces of any kind."""

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        *,
        gamma_priors: bool = False,
        cost_exponent: Callable[[float], float] | None = None,
    ) -> None:
        cost = None if cost_exponent is None else lambda trial: float(trial.user_attrs["seconds"])
        super().__init__(space, seed, cost=cost)
        self.gamma_priors = gamma_priors
        self.cost_exponent = cost_exponent

    def spend(self, budget_left: float) -> None:
        """Tell which share of the budget is left."""
        if self.cost_exponent is not None:
            self.budget_left = self.cost_exponent(budget_left)

    def _fitted(self, x: Tensor, y: Tensor) -> SingleTaskGP:
        if not self.gamma_priors:
            return super()._fitted(x, y)
        encoding = self._encoding()
        d = x.shape[1] if encoding is None else encoding(x).shape[1]
        model = SingleTaskGP(
            x,
            y[:, None],
            input_transform=encoding,
            outcome_transform=Standardize(1),
            **_gamma_priors(d),
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model


def _range(j: int, dimension: Dimension) -> Range:
    when: tuple[tuple[str, tuple[int, ...]], ...] = ()
    if dimension.active_when is not None:
        controller, at = dimension.active_when
        when = ((f"x{controller}", tuple(sorted(at))),)
    if not dimension.levels:
        return Range(f"x{j}", "float", 0.5, 0.0, 1.0, when=when)
    if dimension.ordered:
        return Range(f"x{j}", "int", 0, 0, dimension.levels - 1, step=1, when=when)
    return Range(f"x{j}", "categorical", 0, choices=tuple(range(dimension.levels)), when=when)


class BoTorchEI:
    """BoTorch's LogEI, divided by the expected cost of the whole pipeline if `cost_exponent` > 0.

    Args:
        problem: what is tuned.
        seed: of the restarts.
        gamma_priors: Matern-5/2 with Gamma priors, as BoTorch up to 0.11, instead of its default.
        cost_exponent: of the cost, as a function of the share of the budget that is left:
            none is LogEI, always 1 is EI per unit cost, the share itself is CArBO's cooling.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        gamma_priors: bool = False,
        cost_exponent: Callable[[float], float] | None = None,
    ) -> None:
        self.d = problem.d
        self.seed = seed
        self.gamma_priors = gamma_priors
        self.cost_exponent = cost_exponent
        self.x: list[Point] = []
        self.y: list[float] = []
        self.seconds: list[float] = []

    def _fit(self, x: Tensor, y: Tensor) -> SingleTaskGP:
        priors = _gamma_priors(self.d) if self.gamma_priors else {}
        model = SingleTaskGP(x, y[:, None], outcome_transform=Standardize(1), **priors)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model

    def ask(self, budget_left: float) -> Point:
        x = torch.tensor(self.x, dtype=torch.float64)
        y = torch.tensor(self.y, dtype=torch.float64)
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(self.seed * 10_000 + len(self.x))
            model = self._fit(x, y)
            if self.cost_exponent is None:
                acquisition = LogExpectedImprovement(model, y.max())
            else:
                log_cost = self._fit(x, torch.tensor(self.seconds, dtype=torch.float64).log())
                exponent = self.cost_exponent(budget_left)
                acquisition = LogEIPerCost(model, y.max(), log_cost, exponent)
            bounds = torch.stack([torch.zeros(self.d), torch.ones(self.d)]).double()
            best, _ = optimize_acqf(acquisition, bounds, q=1, num_restarts=4, raw_samples=256)
        return tuple(best[0].tolist())

    def tell(
        self,
        x: Point,
        y: float,
        stage_costs: Mapping[int, float],
        load_costs: Mapping[int, float],
    ) -> None:
        self.x.append(x)
        self.y.append(y)
        self.seconds.append(sum(stage_costs.values()) + sum(load_costs.values()))


def _botorch(
    *, gamma_priors: bool = False, cost_exponent: Callable[[float], float] | None = None
) -> Make:
    how: dict[str, Any] = {"gamma_priors": gamma_priors, "cost_exponent": cost_exponent}

    def make(p: Problem, seed: int) -> Sampler:
        if p.mixed:
            return MixedSampler(p, lambda space: MixedBoTorchEI(space, seed, **how))
        return BoTorchEI(p, seed, **how)

    return make


def _optuna(kind: type[optuna.samplers.BaseSampler]) -> Make:
    def make(p: Problem, seed: int) -> Sampler:
        sampler = kind(seed=seed, n_startup_trials=0)  # type: ignore[call-arg]
        return MixedSampler(p, lambda space: sampler) if p.mixed else OptunaSampler(p, sampler)

    return make


SAMPLERS: dict[str, Make] = {
    "EEIPU (ours)": EEIPU,
    "EEIPU (paper)": lambda p, seed: EEIPU(p, seed, PaperOptimizer, cooling=True),
    "EEIPU (paper, in the box)": PaperEEIPUInBox,
    "EI per unit cost": _botorch(gamma_priors=True, cost_exponent=lambda left: 1.0),
    "CArBO cooling": _botorch(gamma_priors=True, cost_exponent=lambda left: left),
    "LogEI": _botorch(),
    "LogEI (Gamma priors)": _botorch(gamma_priors=True),
    "Optuna GP": _optuna(optuna.samplers.GPSampler),
    "Optuna TPE": _optuna(optuna.samplers.TPESampler),
    "random, grid of 4": lambda p, seed: Random(p, seed, levels=4),
    "random": Random,
}
# Of no meaning where not all parameters are numbers.
NUMBERS_ONLY = ("EEIPU (paper, in the box)",)

# One thing changed each.
ABLATIONS: dict[str, Make] = {
    "with the paper's cooling": lambda p, seed: EEIPU(p, seed, cooling=True),
    "cost in every proposal": lambda p, seed: EEIPU(p, seed, NeverRegardless),
    "without memory": lambda p, seed: EEIPU(p, seed, NoMemory),
    "five best trials' cuts": lambda p, seed: EEIPU(p, seed, FivePrefixes),
    "costs of own parameters": lambda p, seed: EEIPU(p, seed, trained(OwnCosts)),
    "without effects of executions": lambda p, seed: EEIPU(p, seed, trained(NoEffects)),
    "without stage kernels": lambda p, seed: EEIPU(p, seed, trained(OneKernel)),
    "without warping": lambda p, seed: EEIPU(p, seed, trained(NoWarping)),
    "unscaled distances": lambda p, seed: EEIPU(p, seed, UnscaledDistances),
}
