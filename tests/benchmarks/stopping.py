"""When `--stop auto` ends a study on the synthetic pipelines, and what that leaves undone.

    python tests/benchmarks/stopping.py                        # all, prints a table
    python tests/benchmarks/stopping.py --problems chain3-bhb --seeds 3

EEIPU without a budget from the benchmark's warm-up points. Where the rule would end the study, it
goes on until as much again is spent, which is what the rule foretells the worth of. A study that
has not ended after four times the benchmark's budget is given up.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace

from problems import PROBLEMS, Problem
from samplers import EEIPU
from simulate import Point, simulate

from kedro_eeipu.study.limits import not_worth_it

BUDGETS = 4


class Stopping(EEIPU):
    """EEIPU that knows when it would have stopped, and ends when twice as much is spent."""

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem, seed)
        self.latest = BUDGETS * problem.budget
        self.payoffs: list[float] = []
        self.values: list[float] = []
        self.spent = 0.0
        self.stopped_after: int | None = None
        self.spent_then = math.inf

    def ask(self, budget_left: float) -> Point | None:
        if self.spent >= (self.latest if self.stopped_after is None else 2 * self.spent_then):
            return None
        proposal = self.optimizer.ask()
        self.payoffs.append(proposal.info.get("payoff", math.inf))
        if self.stopped_after is None and not_worth_it(self.payoffs):
            self.stopped_after, self.spent_then = len(self.values), self.spent
        return proposal.x

    def tell(
        self,
        x: Point,
        y: float,
        stage_costs: Mapping[int, float],
        load_costs: Mapping[int, float],
    ) -> None:
        super().tell(x, y, stage_costs, load_costs)
        self.values.append(y)
        self.spent += sum(stage_costs.values()) + sum(load_costs.values())


@dataclass(frozen=True)
class Stop:
    """Where the rule ended a study.

    Args:
        trials: told by then.
        budgets: spent by then, in budgets of the benchmark.
        regret: then.
        later: regret when twice as much was spent.
        gain: the difference, in standard deviations of the values told when it ended.
    """

    trials: int
    budgets: float
    regret: float
    later: float
    gain: float


def stop(problem: Problem, seed: int) -> Stop | None:
    """None where a study does not end in four budgets."""
    sampler = Stopping(problem, seed)
    simulate(replace(problem, budget=3 * BUDGETS * problem.budget), sampler, seed)  # ends before
    n = sampler.stopped_after
    if n is None:
        return None
    then, later = max(sampler.values[:n]), max(sampler.values)
    return Stop(
        trials=n,
        budgets=sampler.spent_then / problem.budget,
        regret=problem.maximum - then,
        later=problem.maximum - later,
        gain=(later - then) / statistics.stdev(sampler.values[:n]),
    )


def _spread(values: list[float]) -> str:
    middle, low, high = (
        f"{v:.0f}" if v >= 10 else f"{v:.2g}"
        for v in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({low} … {high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print("| problem | ended | trials | budgets spent | regret then | regret later | gain, sd |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in options.problems:
        ends = [stop(PROBLEMS[name], seed) for seed in range(options.seeds)]
        told = [e for e in ends if e is not None]
        cells = [
            _spread([getattr(e, key) for e in told]) if told else ""
            for key in ("trials", "budgets", "regret", "later", "gain")
        ]
        ended = f"{len(told)} of {len(ends)}"
        print(f"| `{name}` | {ended} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
