"""How gain and duplicate work grow with the number of workers on the demo project's pipelines.

    python tests/benchmarks/demo_workers.py
    python tests/benchmarks/demo_workers.py --pipelines vision --workers 1 16 --seeds 3

A replay: nothing is trained. The stage graph, the ranges and 60 measured trials of each pipeline
come from demo_trials.json (made by demo_trials.py). A Gaussian process fitted to the measured
values stands for the objective, another to the logarithm of each stage's measured CPU seconds for
its cost. It is smoother than the pipelines are, and is not the optimizer's own model: its kernel,
its fit and its treatment of categories are scikit-learn's and this file's.

All have a budget of the node time of 30 trials without reuse, on simulated workers with one cache,
as in workers.py; what is in hand when it is used up is ended, so many workers overrun it.
Finished runs are kept in demo_workers.jsonl.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from workers import Simulation

from kedro_eeipu.optimizer import Dimension, Optimizer, Stage

TRIALS = Path(__file__).with_name("demo_trials.json")
RESULTS = Path(__file__).with_name("demo_workers.jsonl")
PIPELINES = ("__default__", "vision", "language")
COLD_TRIALS = 30
PROPOSING = 0.3  # seconds of one proposal, as proposal_time.py measures it at 100 trials


@dataclass
class Replay:
    """A pipeline as its measured trials tell it.

    Args:
        name: In the registry of the demo project.
    """

    name: str

    def __post_init__(self) -> None:
        told = json.loads(TRIALS.read_text())[self.name]
        self.dimensions = [
            Dimension(
                d["levels"],
                d["ordered"],
                d["active_when"] and (d["active_when"][0], frozenset(d["active_when"][1])),
                tuple(d["places"]),
            )
            for d in told["dimensions"]
        ]
        columns = {path: j for j, path in enumerate(told["parameters"])}
        self.stages = [
            Stage(frozenset(columns[p] for p in s["parameters"]), frozenset(s["parents"]))
            for s in told["stages"]
        ]
        self.d = len(self.dimensions)
        trials = told["trials"]
        self.points = [tuple(math.nan if u is None else u for u in t["x"]) for t in trials]
        self.values = np.array([t["y"] for t in trials])
        everything = frozenset(range(self.d))
        self._objective = Fitted([self._features(x, everything) for x in self.points], self.values)
        self._costs = []
        for s, stage in enumerate(self.stages):
            ran = [t for t, trial in enumerate(trials) if str(s) in trial["costs"]]
            seconds = np.array([max(trials[t]["costs"][str(s)], 1e-3) for t in ran])
            features = [self._features(self.points[t], stage.parameters) for t in ran]
            self._costs.append(Fitted(features, np.log(seconds)))
        loads = [[t["loads"][s] for t in trials if s in t["loads"]] for s in map(str, range(99))]
        self.load_seconds = [
            statistics.median(loads[s]) if loads[s] else 0.0 for s in range(len(self.stages))
        ]
        cold = [sum(self.cost(s, x) for s in range(len(self.stages))) for x in self.points]
        self.cold_seconds = statistics.mean(cold)
        self.budget = COLD_TRIALS * self.cold_seconds

    @property
    def explained(self) -> float:
        """Share of the measured values' variance that the model explains of trials left out."""
        return self._objective.explained

    def objective(self, x: Sequence[float]) -> float:
        """The value at x, larger is better."""
        return self._objective.at(self._features(tuple(x), frozenset(range(self.d))))

    def cost(self, s: int, x: Sequence[float]) -> float:
        """Seconds of stage s at x."""
        return math.exp(self._costs[s].at(self._features(tuple(x), self.stages[s].parameters)))

    def _features(self, x: tuple[float, ...], columns: frozenset[int]) -> tuple[float, ...]:
        """Categories one by one, what is inactive in the middle."""
        found: list[float] = []
        for j in sorted(columns):
            u, dimension = x[j], self.dimensions[j]
            if math.isnan(u):
                u = 0.5
            elif not dimension.ordered:
                level = round(u * (dimension.levels - 1))
                found += [0.7 * (level == k) for k in range(dimension.levels)]
                continue
            found.append(u)
            found += [0.0] * (dimension.levels - 1) * (not dimension.ordered)
        return tuple(found)


class Fitted:
    """A Gaussian process through measured values; their mean where there are few.

    Args:
        features: n rows.
        y: n values.
    """

    def __init__(self, features: Sequence[tuple[float, ...]], y: np.ndarray) -> None:
        self._x, self._mean = np.array(features, dtype=float), float(y.mean())
        self._model, self.explained = None, 0.0
        if len(y) < 10 or self._x.shape[1] == 0:
            return
        lengths = np.ones(self._x.shape[1])
        kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(lengths, (0.1, 30.0), nu=2.5)
        kernel += WhiteKernel(1e-2, (1e-5, 1.0))
        model = GaussianProcessRegressor(
            kernel, normalize_y=True, n_restarts_optimizer=2, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a length at its bound: a column without effect
            self._model = model.fit(self._x, y)
        inverse = np.linalg.inv(model.L_ @ model.L_.T)
        left_out = (inverse @ model.y_train_) / np.diag(inverse)
        self.explained = 1 - float((left_out**2).mean() / model.y_train_.var())

    @functools.lru_cache(maxsize=100_000)  # noqa: B019 - there are a handful of models
    def at(self, features: tuple[float, ...]) -> float:
        """The expected value."""
        if self._model is None:
            return self._mean
        return float(self._model.predict(np.array([features]))[0])


class DemoSimulation(Simulation):
    """Begins with the defaults, as `kedro eeipu tune` does."""

    def __init__(self, problem: Replay, workers: int, seed: int, proposing: float) -> None:
        optimizer = Optimizer(
            problem.dimensions, problem.stages, seed=seed, default=problem.points[0]
        )
        super().__init__(
            problem,
            workers,
            optimizer=optimizer,
            points=[],
            proposing=proposing,
            load_seconds=problem.load_seconds,
            drain=True,
        )


def load() -> dict[tuple[str, int, float, int], dict[str, Any]]:
    """Finished runs by pipeline, number of workers, seconds of a proposal, and seed."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(r["pipeline"], r["workers"], r["proposing"], r["seed"]): r for r in rows}


def table(name: str, workers: list[int]) -> list[str]:
    """Over the seeds that each number of workers has, beside the same seeds of one worker."""
    runs, problem = load(), Replay(name)
    default = problem.objective(problem.points[0])
    lines = [
        f"## {name}: {problem.cold_seconds:.1f} s a trial without reuse, "
        f"{problem.explained:.0%} of the variance explained",
        "",
        "| workers | seeds | trials | node time / budget | share reused | gain against one worker "
        f"| ends sooner | waiting | ends sooner at {PROPOSING:g} s a proposal |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for n in workers:
        seeds = sorted(
            s for p, w, t, s in runs if (p, w, t) == (name, n, 0.0) and (name, 1, 0.0, s) in runs
        )
        if not seeds:
            continue
        rows = [runs[name, n, 0.0, s] for s in seeds]
        gains = [
            (r["best"] - default) / (runs[name, 1, 0.0, s]["best"] - default)
            for r, s in zip(rows, seeds, strict=True)
        ]
        sooner = {
            seconds: [
                runs[name, 1, seconds, s]["wall"] / r["wall"]
                for (p, w, t, s), r in runs.items()
                if (p, w, t) == (name, n, seconds) and (name, 1, seconds, s) in runs
            ]
            for seconds in (0.0, PROPOSING)
        }
        times = {t: f"{statistics.median(found):.1f}" for t, found in sooner.items() if found}
        lines.append(
            f"| {n} | {len(seeds)} | {statistics.median(r['evaluations'] for r in rows):g} "
            f"| {statistics.median(r['node'] / problem.budget for r in rows):.2f} "
            f"| {statistics.median(r['saved'] / (r['saved'] + r['node']) for r in rows):.0%} "
            f"| {statistics.mean(gains):.0%} ({min(gains):.0%} to {max(gains):.0%}) "
            f"| {times[0.0]} "
            f"| {statistics.median(r['waited'] / (r['waited'] + r['node']) for r in rows):.0%} "
            f"| {times.get(PROPOSING, '')} |"
        )
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pipelines", nargs="*", default=PIPELINES, choices=PIPELINES)
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--proposing", nargs="*", type=float, default=[0.0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    problems = {name: Replay(name) for name in arguments.pipelines}
    for proposing in arguments.proposing:
        for seed in range(arguments.seeds):
            for name, problem in problems.items():
                for n in arguments.workers:
                    if (name, n, proposing, seed) in load():
                        continue
                    run = DemoSimulation(problem, n, seed, proposing).run()
                    row = {"pipeline": name, "workers": n, "proposing": proposing, "seed": seed}
                    row |= {key: float(f"{value:.6g}") for key, value in run.items()}
                    with RESULTS.open("a") as file:
                        file.write(json.dumps(row) + "\n")
    for name in arguments.pipelines:
        print("\n".join(table(name, arguments.workers)))


if __name__ == "__main__":
    main()
