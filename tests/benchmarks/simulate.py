"""Run one sampler on one problem, with the cache's accounting."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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

    def ask(self, budget_left: float) -> Point | None:
        """Next configuration on the unit cube; None to end before the budget does."""

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
    return [problem.configuration(u) for u in engine.draw(WARMUP, dtype=float64).tolist()]


def warmup_seconds(problem: Problem, seed: int) -> float:
    """What the warm-up takes of the budget, but for loading what two of its points share."""
    paid = {
        key: problem.cost(s, x)
        for x in warmup_points(problem, seed)
        for s, key in enumerate(executions(problem, x))
    }
    return sum(paid.values())


def executions(problem: Problem, x: Sequence[float]) -> list[tuple[int, Point]]:
    """Per stage what identifies its outputs: the stage and the values that reach it."""
    known = [-1.0 if v != v else v for v in x]
    return [
        (s, tuple(known[j] for j in sorted(stage.parameters)))
        for s, stage in enumerate(problem.stages)
    ]


def simulate(problem: Problem, sampler: Sampler, seed: int) -> dict[str, object]:
    """Spend the problem's budget; a stage already computed for the same values is only loaded.

    Returns:
        After each evaluation that ended within the budget the cumulative seconds `cost` and
        `best`, the objective without noise where the highest value was told; node executions
        `ran` and `reused`, and `ask_seconds` per proposal.
    """
    cached: set[tuple[int, tuple[float, ...]]] = set()
    spent, best, highest = 0.0, -np.inf, -np.inf
    after_warmup = problem.budget
    costs: list[float] = []
    bests: list[float] = []
    ask_seconds: list[float] = []
    ran = reused = 0
    warmup = warmup_points(problem, seed)
    while True:
        if len(costs) < WARMUP:
            x = warmup[len(costs)]
            after_warmup = problem.budget - spent
        else:
            started = time.perf_counter()
            asked = sampler.ask(max(0.0, (problem.budget - spent) / after_warmup))
            if asked is None:
                break
            x = asked
            ask_seconds.append(time.perf_counter() - started)
        keys = executions(problem, x)
        run = {s: problem.cost(s, x) for s, key in enumerate(keys) if key not in cached}
        load = {s: LOAD_SECONDS for s in range(len(keys)) if s not in run}
        spent += sum(run.values()) + sum(load.values())
        if spent > problem.budget:
            break
        cached.update(keys)
        ran, reused = ran + len(run), reused + len(load)
        value = problem.objective(np.array(x))
        y = value + sum(problem.chance(seed, s, x) for s in range(len(keys)))
        if y > highest:
            best, highest = value, y
        sampler.tell(x, y, run, load)
        costs.append(spent)
        bests.append(best)
        if len(costs) >= 2000:
            break
    return {"cost": costs, "best": bests, "ran": ran, "reused": reused, "ask_seconds": ask_seconds}
