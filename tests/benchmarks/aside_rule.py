"""EEIPU that sets trials aside by values on the way, and resumes them: the arms of `aside.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch
from aside_problems import OnTheWay
from simulate import LOAD_SECONDS, Point, executions
from torch import Tensor

from kedro_eeipu.optimizer import Optimizer, optimizer
from kedro_eeipu.optimizer.cut_search import Candidate, CutSearch
from kedro_eeipu.optimizer.surrogates import Surrogate, TrainingData
from kedro_eeipu.optimizer.training import Training, Trial
from kedro_eeipu.optimizer.warping import Warped

FEWEST = 8  # executions whose value is compared with those of the objective
APART = 0.05  # on the unit cube, from where on a candidate is another one
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(16)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
ARMS = {  # share of the best other candidate's rate, and whether the option is in the price
    "none": (0.0, False),
    "median": (0.0, False),
    "quarter": (0.0, False),
    "aside.1": (0.1, False),
    "aside.5": (0.5, False),
    "aside1": (1.0, False),
    "option.5": (0.5, True),
    "option1": (1.0, True),
    "perfect": (0.0, False),
}


@dataclass
class Tried:
    """A trial, whole or set aside.

    Attributes:
        x: its configuration.
        y: its value, None unless it is whole.
        costs: seconds of the stages that it ran.
        loads: seconds of those that it loaded.
        expected: what a trial that was set aside is expected to come to.
        failed: whether it was given up for good.
    """

    x: Point
    y: float | None = None
    costs: dict[int, float] = field(default_factory=dict)
    loads: dict[int, float] = field(default_factory=dict)
    expected: float | None = None
    failed: bool = False


class _Keeping(Training):
    """Training that keeps the last warping."""

    warped: Warped

    def warped_objective(self, trials: Sequence[Trial], *args: Any) -> Any:
        found = super().warped_objective(trials, *args)
        self.warped = found[0]
        return found


class _KeepingOptimizer(Optimizer):
    """The optimizer, which keeps the warping of its last proposal."""

    trained_by = _Keeping


@dataclass
class Shown:
    """How the objective follows a value on the way.

    Args:
        model: surrogate of the value.
        slope: by how much the objective exceeds what is predicted, per amount by which the value
            does, both in standard deviations of their predictions.
        known: share of the objective's variance that is known with the value.
        residuals: by execution, by how much the value exceeds what the others let expect.
    """

    model: Surrogate
    slope: float
    known: float
    residuals: dict[Point, float]

    def given(self, mean: float, sd: float, residual: float) -> tuple[float, float]:
        """Mean and standard deviation of the objective with a value of this residual."""
        return mean + self.slope * sd * residual, sd * math.sqrt(1 - self.known)


class Tuner:
    """EEIPU with the rule, rebuilt from its history for each proposal.

    After a stage with a value v, the objective y at x is expected to have the mean and variance

        mean(y) + slope * sd(y) * (v - mean(v)) / sd(v),    (1 - known) * sd(y)^2

    where mean and sd are of the surrogates of y and of v at x. The slope is the regression of
    residuals of y on those of v, in their standard deviations and each from all other executions
    of the stage; known is their squared correlation. Both are shrunk by
    1 - (standard error / slope)^2, and 0 where that is negative. Nothing is set aside before eight
    executions belong to whole trials.
    """

    def __init__(self, way: OnTheWay, seed: int, arm: str) -> None:
        self.way, self.problem, self.seed, self.arm = way, way.problem, seed, arm
        self.theta, self.option = ARMS[arm]
        self.tried: list[Tried] = []
        self.values: dict[int, dict[Point, float]] = {s: {} for s in way.noise}
        self.cached: set[tuple[int, Point]] = set()
        self.threshold = 0.0  # rate that the rest of the trial in hand has to have
        self.continued = 0

    def propose(self) -> Tried:
        """A new trial, or the best of those that were set aside."""
        self.optimizer = _KeepingOptimizer(
            self.problem.dimensions, self.problem.stages, seed=self.seed, warmup=2
        )
        self.order = sorted(self.tried, key=lambda t: t.y is None and t.expected is None)
        for t in self.order:
            y = t.expected if t.y is None else t.y
            self.optimizer.tell(t.x, y, t.costs, t.loads)
        tuner = self

        class Search(CutSearch):
            def run(self) -> list[Candidate]:
                return tuner._ranked(self, super().run())

        with mock.patch.object(optimizer, "CutSearch", Search), torch.no_grad():
            x = self.optimizer.ask().x
            waiting = [t for t in self.tried if t.expected is not None and t.y is None]
            if not self.theta:
                return Tried(x)
            rates = self._waiting_rates(waiting)
            best = max(range(len(rates)), key=rates.__getitem__, default=None)
            if best is not None and rates[best] >= self.rate:
                self.continued += 1
                self.threshold = max([self.rate, *rates[:best], *rates[best + 1 :]])
                return waiting[best]
            self.threshold = max([self.other_rate, *rates])
        return Tried(x)

    def goes_on(self, s: int, trial: Tried, v: float, reused: bool) -> bool:
        """Whether a trial goes on after stage s has shown v."""
        whole = [self.values[s][self._seen(s, t.x)] for t in self.tried if t.y is not None]
        shown = self.values[s]
        every = [shown[at] for t in self.tried if (at := self._seen(s, t.x)) in shown]
        rules = {"median": (whole, 0.5), "quarter": (every, 0.25)}
        if self.arm in rules and len(whole) >= 5 and v < np.quantile(*rules[self.arm]):
            trial.failed = True
            return False
        if self.arm == "perfect" and not reused and self.tried[FEWEST:]:
            y = self.way.whole(self.seed, trial.x)
            trial.expected = y if y <= max(t.y for t in self.tried if t.y is not None) else None
            return trial.expected is None
        if not self.theta or reused or not self.threshold or s not in self.shown:
            return True
        with torch.no_grad():
            z = torch.tensor([trial.x], dtype=torch.float64)
            mean, sd = self._given(s, z, v)
            if self._rates(z, [(mean, sd)])[0] >= self.theta * self.threshold:
                return True
            training: Any = self.optimizer.training
            told = training.warped.unwarp(torch.tensor(mean))
        trial.expected = float(told)
        return False

    def _seen(self, s: int, x: Point) -> Point:
        return executions(self.problem, x)[s][1]

    def _ranked(self, search: CutSearch, found: list[Candidate]) -> list[Candidate]:
        """Candidates, the best first, and what the next trial will be compared with."""
        self.acquisition: Any = search.acquisition
        self.objective: Any = search.acquisition.model
        self.best_f = float(torch.as_tensor(search.acquisition.best_f))
        self.shown, self.rate, self.other_rate = {}, 0.0, 0.0
        if not self.theta:
            return found
        model: Any = search.acquisition.model
        model.eval()
        prior = model.likelihood(model.forward(*model.train_inputs))
        self.covariance, self.prior_mean = prior.covariance_matrix, prior.mean
        self.shown = {s: shown for s in self.values if (shown := self._learnt(s)) is not None}
        tried = {t.x for t in self.tried}
        found = [c for c in found if c.x not in tried] or found
        z = torch.tensor([c.x for c in found], dtype=torch.float64)
        cut = torch.tensor([c.cut for c in found])
        share, load = search.table.share[cut], search.table.load[cut]
        log_ei, log_inverse = self.acquisition.parts(z, share, load)
        rates = (log_ei + log_inverse).exp().tolist()
        order = list(range(len(found)))
        if self.option and self.acquisition.eta:
            rates = self._with_options(z, share, rates)
            order.sort(key=lambda i: -rates[i])
        first = order[0]
        others = [rates[i] for i in order if _apart(z[i], z[first])]
        self.rate, self.other_rate = rates[first], max(others, default=0.0)
        return [found[i] for i in order]

    def _with_options(self, z: Tensor, share: Tensor, plain: list[float]) -> list[float]:
        """Rates of candidates that are set aside where the rest is worth too little."""
        log_mean, log_sd = self.acquisition.log_costs(z)
        seconds = share * (log_mean + log_sd**2 / 2).exp()
        mean, sd = self._belief(z)
        first = [next((s for s in self.shown if row[s]), None) for row in share.tolist()]
        rates = list(plain)
        for i, s in enumerate(first):
            if s is None or not self.shown[s].known:
                continue
            other = max((r for r, x in zip(plain, z, strict=True) if _apart(x, z[i])), default=0.0)
            before, rest = float(seconds[i, : s + 1].sum()), float(seconds[i, s + 1 :].sum())
            by_value = float(sd[i]) * math.sqrt(self.shown[s].known)
            after = float(sd[i]) * math.sqrt(1 - self.shown[s].known)
            ei = [self._ei(float(mean[i]) + by_value * node, after) for node in NODES]
            least = self.theta * other * rest
            goes = [(w, e) for w, e in zip(WEIGHTS, ei, strict=True) if e >= least]
            gain, probability = sum(w * e for w, e in goes), sum(w for w, _ in goes)
            rates[i] = max(rates[i], float(gain / (before + probability * rest)))
        return rates

    def _belief(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the objective at new points, in its warped unit."""
        posterior: Any = self.objective.posterior(z[:, None])
        return posterior.mean[:, 0, 0], posterior.variance[:, 0, 0].sqrt()

    def _value_belief(self, s: int, z: Tensor) -> tuple[Tensor, Tensor]:
        """The same of what stage s shows, noise included."""
        model = self.shown[s].model
        posterior: Any = model.posterior(z[:, None])
        noise = float(model.likelihood.noise) * model.data.scale**2
        return posterior.mean[:, 0, 0], (posterior.variance[:, 0, 0] + noise).sqrt()

    def _given(self, s: int, z: Tensor, v: float) -> tuple[float, float]:
        """Mean and standard deviation of the objective once stage s has shown v."""
        (mean, sd), (usual, spread) = self._belief(z), self._value_belief(s, z)
        return self.shown[s].given(float(mean), float(sd), float((v - usual) / spread))

    def _waiting_rates(self, waiting: list[Tried]) -> list[float]:
        """Of trials that were set aside, from the others and the last value that each has shown."""
        if not waiting:
            return []
        z = torch.tensor([t.x for t in waiting], dtype=torch.float64)
        beliefs = []
        for trial in waiting:
            s = max(s for s in self.values if self._seen(s, trial.x) in self.values[s])
            key = self._seen(s, trial.x)
            same = [j for j, t in enumerate(self.order) if self._seen(s, t.x) == key]
            left_out = [j for j in same if self.order[j].y is None]
            means, sds = self._from_others([self.order.index(trial)], left_out)
            belief = float(means[0]), float(sds[0])
            # Where a whole trial has the same execution, the objective's surrogate knows its luck.
            if len(left_out) == len(same) and s in self.shown:
                belief = self.shown[s].given(*belief, self.shown[s].residuals[key])
            beliefs.append(belief)
        return self._rates(z, beliefs)

    def _from_others(self, at: list[int], left_out: list[int]) -> tuple[Tensor, Tensor]:
        """The objective at told trials, from all but those left out."""
        model, k, mean0 = self.objective, self.covariance, self.prior_mean
        noise = float(model.likelihood.noise)
        kept = [i for i in range(len(k)) if i not in set(left_out)]
        factor = torch.linalg.cholesky(k[kept][:, kept])
        residual = (model.train_targets - mean0)[kept, None]
        across = k[at][:, kept]
        mean = mean0[at] + (across @ torch.cholesky_solve(residual, factor))[:, 0]
        explained = (across * torch.cholesky_solve(across.T, factor).T).sum(1)
        variance = k[at, at] - noise - explained
        return mean, variance.clamp(min=1e-12).sqrt()

    def _learnt(self, s: int) -> Shown | None:
        """How the objective follows what stage s shows; None where too little is known."""
        whole: dict[Point, list[int]] = {}
        told: dict[Point, list[int]] = {}
        for i, t in enumerate(self.order):
            told.setdefault(self._seen(s, t.x), []).append(i)
            if t.y is not None:
                whole.setdefault(self._seen(s, t.x), []).append(i)
        if len(whole) < FEWEST:
            return None
        model = self._value_model(s)
        residuals = dict(zip(self.values[s], _left_out_residuals(model), strict=True))
        of_v = np.array([residuals[key] for key in whole])
        of_y = np.array([self._residual(rows, told[key]) for key, rows in whole.items()])
        square = max(float(of_v @ of_v), 1e-12)
        slope = float(of_v @ of_y) / square
        left = of_y - slope * of_v
        error = float(left @ left) / (len(left) - 1) / square
        kept = max(0.0, 1 - error / max(slope**2, 1e-12))
        known = slope**2 * square / max(float(of_y @ of_y), 1e-12)
        return Shown(model, kept * slope, kept * known, residuals)

    def _residual(self, rows: list[int], left_out: list[int]) -> float:
        """By how much the objective exceeds what others let expect, in standard deviations."""
        mean, sd = self._from_others(rows, left_out)
        noise = float(self.objective.likelihood.noise)
        return float(((self.objective.train_targets[rows] - mean) / (sd**2 + noise).sqrt()).mean())

    def _value_model(self, s: int) -> Surrogate:
        first = {self._seen(s, t.x): t.x for t in reversed(self.tried)}
        training = self.optimizer.training
        points = training.points([first[key] for key in self.values[s]])
        y = torch.tensor(list(self.values[s].values()), dtype=torch.float64)
        data = TrainingData(
            training.features(points),
            y,
            (training.graph.columns[s],),
            float(y.mean()),
            max(float(y.std(correction=0)), 1e-9),
            points=points,
        )
        return training.surrogate(data)

    def _ei(self, mean: float, sd: float) -> float:
        z = (mean - self.best_f) / sd
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return max(0.0, sd * (density + z * math.erfc(-z / math.sqrt(2)) / 2))

    def _rates(self, z: Tensor, beliefs: list[tuple[float, float]]) -> list[float]:
        """Expected improvement per second of the stages that are not cached."""
        keys = [executions(self.problem, tuple(x)) for x in z.tolist()]
        share = torch.tensor([[float(key not in self.cached) for key in row] for row in keys])
        load = torch.full((len(z),), LOAD_SECONDS, dtype=torch.float64)
        inverse = self.acquisition.parts(z, share.double(), load)[1].exp().tolist()
        return [self._ei(*belief) * i for belief, i in zip(beliefs, inverse, strict=True)]


def _left_out_residuals(model: Any) -> list[float]:
    """Residuals of the training targets, each from all others, in standard deviations."""
    model.eval()
    prior = model.likelihood(model.forward(*model.train_inputs))
    inverse = torch.linalg.inv(prior.covariance_matrix)
    return list((inverse @ (model.train_targets - prior.mean) / inverse.diagonal().sqrt()).tolist())


def _apart(a: Tensor, b: Tensor) -> bool:
    return float((a - b).abs().max()) > APART
