"""Run one sampler on one problem, with the cache's accounting."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from problems import Problem
from torch import float64
from torch.quasirandom import SobolEngine

WARMUP = 10
LOAD_SECONDS = 0.02

Point = tuple[float, ...]


class Sampler(Protocol):
    """What the benchmark drives."""

    def ask(self, budget_left: float) -> Point:
        """Next configuration on the unit cube."""

    def tell(
        self,
        x: Point,
        y: float,
        stage_costs: Mapping[int, float],
        load_costs: Mapping[int, float],
    ) -> None:
        """The result, with the seconds of the stages that ran and of those that were loaded."""


def warmup_points(problem: Problem, seed: int) -> list[tuple[float, ...]]:
    """The same space-filling points for every sampler."""
    engine = SobolEngine(problem.d, scramble=True, seed=1000 + seed)
    return [tuple(row) for row in engine.draw(WARMUP, dtype=float64).tolist()]


def warmup_seconds(problem: Problem, seed: int) -> float:
    """What the warm-up takes of the budget; no two of its points share a stage."""
    points = warmup_points(problem, seed)
    return sum(problem.cost(s, x) for x in points for s in range(len(problem.own)))


def simulate(problem: Problem, sampler: Sampler, seed: int) -> dict[str, object]:
    """Spend the problem's budget; a stage already computed for the same values is only loaded.

    Returns:
        Cumulative seconds `cost` and `best` value after each evaluation (only those that ended
        within the budget), node executions `ran` and `reused`, and `ask_seconds` per proposal.
    """
    stages = problem.stages
    cached: set[tuple[int, tuple[float, ...]]] = set()
    spent, best = 0.0, -np.inf
    after_warmup = problem.budget
    costs, bests, ask_seconds = [], [], []
    ran = reused = 0
    warmup = warmup_points(problem, seed)
    while True:
        if len(costs) < WARMUP:
            x = warmup[len(costs)]
            after_warmup = problem.budget - spent
        else:
            started = time.perf_counter()
            x = sampler.ask(max(0.0, (problem.budget - spent) / after_warmup))
            ask_seconds.append(time.perf_counter() - started)
        keys = [(s, tuple(x[j] for j in sorted(stages[s].parameters))) for s in range(len(stages))]
        run = {s: problem.cost(s, x) for s, key in enumerate(keys) if key not in cached}
        load = {s: LOAD_SECONDS for s in range(len(stages)) if s not in run}
        spent += sum(run.values()) + sum(load.values())
        if spent > problem.budget:
            break
        cached.update(keys)
        ran, reused = ran + len(run), reused + len(load)
        y = problem.objective(np.array(x))
        best = max(best, y)
        sampler.tell(x, y, run, load)
        costs.append(spent)
        bests.append(best)
        if len(costs) >= 2000:
            break
    return {"cost": costs, "best": bests, "ran": ran, "reused": reused, "ask_seconds": ask_seconds}
