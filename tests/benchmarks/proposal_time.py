"""Processor seconds that a proposal takes, on one thread.

    python tests/benchmarks/proposal_time.py

Ten parameters, a chain of five stages, 25 candidate cuts, a history in which two of three trials
reuse a prefix. Beside it, on the same history: the same optimizer searching one cut after the
other, and Optuna's GPSampler. Then the optimizer alone with the cuts it uses by default, and the
memory that its process holds after more and more proposals. Then what its parts take, and the same
by BoTorch alone: fits by `fit_gpytorch_mll`, the search by `optimize_acqf_mixed`.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import optuna
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.optim.optimize import optimize_acqf_mixed
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from kedro_eeipu.optimizer import Dimension, Optimizer, Stage, optimizer
from kedro_eeipu.optimizer.acquisition import EEIPU, StageCost
from kedro_eeipu.optimizer.cut_search import Candidate, CutSearch
from kedro_eeipu.optimizer.hyperparameters import Hyperparameters
from kedro_eeipu.optimizer.surrogates import Surrogate, TrainingData

D, STAGES, CUTS = 10, 5, 25


class OneByOne(CutSearch):
    """A search of its own for each cut."""

    def run(self) -> list[Candidate]:
        found: list[Candidate] = []
        for c, cut in enumerate(self.table.cuts):
            rows = {
                name: getattr(self.table, name)[[c]]
                for name in ("values", "fixed", "share", "load")
            }
            table = replace(self.table, cuts=[cut], **rows)
            search = CutSearch(self.space, self.acquisition, table, self.incumbents, self.seed)
            found += [replace(candidate, cut=c) for candidate in search.run()]
        return sorted(found, key=lambda candidate: -candidate.value)


def objective(x: np.ndarray) -> float:
    return -float(((x - 0.4) ** 2).sum() + np.sin(7 * x[0]) * x[3])


def history(trials: int) -> list[tuple[np.ndarray, dict[int, float]]]:
    """Configurations, and the seconds of the stages that ran."""
    rng = np.random.default_rng(0)
    told: list[tuple[np.ndarray, dict[int, float]]] = []
    for i in range(trials):
        first, x = 0, rng.random(D)
        if i % 3:
            first = int(rng.integers(1, STAGES))
            x[: 2 * first] = told[rng.integers(len(told))][0][: 2 * first]
        seconds = np.exp(x[::2] + np.arange(STAGES) / 2 + 0.1 * rng.normal(size=STAGES))
        told.append((x, {s: float(seconds[s]) for s in range(first, STAGES)}))
    return told


def ours(trials: int) -> Optimizer:
    stages = [
        Stage(frozenset(range(2 * s + 2)), frozenset({s - 1} if s else ())) for s in range(STAGES)
    ]
    told = Optimizer([Dimension()] * D, stages, seed=1)
    for x, costs in history(trials):
        told.tell(x.tolist(), objective(x), costs)
    return told


def gp_sampler(trials: int) -> Callable[[], optuna.Trial]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ranges: dict[str, Any] = {
        f"x{j}": optuna.distributions.FloatDistribution(0, 1) for j in range(D)
    }
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GPSampler(seed=1))
    for x, _ in history(trials):
        study.add_trial(
            optuna.trial.create_trial(
                params={f"x{j}": float(v) for j, v in enumerate(x)},
                distributions=ranges,
                value=objective(x),
            )
        )
    return lambda: study.ask(ranges)


def timed(call: Callable[[], object], repeats: int) -> str:
    call()
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        seconds.append(time.process_time() - started)
    low, _, high = statistics.quantiles(seconds, n=4)
    return f"{statistics.median(seconds):7.3f}  ({low:.3f} - {high:.3f})"


def by_botorch(told: Optimizer, repeats: int) -> None:
    """Print what the parts of a proposal take, ours and BoTorch's."""
    training = told.training
    objective, costs = told.models()
    parts = {"objective, one warping": [objective.data], "costs": [cost.data for cost in costs]}
    for name, data in parts.items():
        ours = [training.fit(part) for part in data]

        def by_library(data: list[TrainingData] = data, ours: list[Hyperparameters] = ours) -> None:
            for part, like in zip(data, ours, strict=True):
                d, stages = len(like.lengthscale), len(part.executions)
                start = Hyperparameters(
                    torch.full((d,), 0.5, dtype=torch.float64),
                    torch.full_like(like.outputscale, 1 / len(part.groups)),
                    0.01,
                    0.0,
                    execution_scale=torch.full((stages,), 0.01, dtype=torch.float64),
                )
                model = Surrogate(part, start, torch.arange(d))
                fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))

        def by_us(data: list[TrainingData] = data) -> None:
            for part in data:
                training.fit(part)

        print(f"  fit of {name:24} {timed(by_us, repeats)}")
        print(f"    by fit_gpytorch_mll          {timed(by_library, min(repeats, 3))}")
    x = torch.rand(128, 1, D, dtype=torch.float64)
    taken = timed(lambda: predicted(objective, costs, x), repeats)
    print(f"  128 points predicted           {taken}")
    acquisition = EEIPU(objective, [StageCost(cost) for cost in costs], 0.0)
    bounds = torch.stack([torch.zeros(D), torch.ones(D)]).double()
    history = torch.tensor([trial.x for trial in told._trials], dtype=torch.float64)
    held = [{j: float(x[j]) for j in range(2 * (i % 4) + 2)} for i, x in enumerate(history[:24])]

    def search() -> None:
        optimize_acqf_mixed(
            acquisition,
            bounds,
            q=1,
            num_restarts=4,
            raw_samples=16,
            fixed_features_list=[{}, *held],
        )

    print(f"  search by optimize_acqf_mixed  {timed(search, min(repeats, 2))}")


def predicted(objective: Surrogate, costs: list[Surrogate], x: Tensor) -> None:
    with torch.no_grad():
        for model in (objective, *costs):
            posterior = model.posterior(x)
            assert len(posterior.mean) == len(posterior.variance)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print(f"processor seconds per proposal, median (quartiles) of {repeats}")
    told = ours(100)
    ask = gp_sampler(100)
    with mock.patch.object(optimizer, "_MAX_CUTS", CUTS):
        print(f"  100 trials, 25 cuts            {timed(told.ask, repeats)}")
        with mock.patch.object(optimizer, "CutSearch", OneByOne):
            print(f"  100 trials, one cut at a time  {timed(told.ask, repeats)}")
    print(f"  100 trials, Optuna GPSampler   {timed(ask, repeats)}")
    print(f"  100 trials, default cuts       {timed(told.ask, repeats)}")
    told = ours(1000)
    print(f"1,000 trials, default cuts       {timed(told.ask, repeats)}")
    for _ in range(3):
        for _ in range(repeats):
            told.ask()
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  most memory so far: {held:.0f} MB")
    by_botorch(ours(100), repeats)


if __name__ == "__main__":
    main()
