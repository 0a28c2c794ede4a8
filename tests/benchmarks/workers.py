"""How gain and duplicate work grow with the number of workers, in simulated time.

    python tests/benchmarks/workers.py
    python tests/benchmarks/workers.py --problems chain3-early --workers 1 4 --seeds 10

The optimizer proposes for workers that run the stages of synthetic pipelines and share one cache:
a stage that is there is loaded, one that another worker computes is waited for. All runs spend the
node time of the problem's budget and begin with the same space-filling points; a stage that what
is left of the budget does not pay for is not begun, and its trial does not count. Proposing takes
no simulated time. Finished runs are kept in tests/benchmarks/workers.jsonl.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from problems import PROBLEMS, Problem
from simulate import LOAD_SECONDS, WARMUP, Point, warmup_points

from kedro_eeipu.optimizer import Optimizer, Stage

RESULTS = Path(__file__).with_name("workers.jsonl")


class Pipeline(Protocol):
    """What is simulated: costs in seconds, values to maximise, of points on the unit cube."""

    @property
    def budget(self) -> float: ...

    @property
    def stages(self) -> Sequence[Stage]: ...

    def objective(self, x: Any) -> float: ...

    def cost(self, s: int, x: Sequence[float]) -> float: ...


@dataclass
class Trial:
    """A configuration on its way through the stages."""

    x: Point
    costs: dict[int, float]
    loads: dict[int, float]


class Simulation:
    """One optimizer, many workers, one cache; events are in the order of simulated time.

    Args:
        problem: The pipeline.
        workers: How many.
        optimizer: Proposes.
        points: What is tried before anything is proposed.
        proposing: Seconds that each proposal takes the one driver.
        load_seconds: Per stage, of reading its outputs from the cache.
        drain: Whether trials in hand are ended when the budget is used up, and only what finished
            trials have cost is held against it, as `kedro eeipu tune` does.
    """

    def __init__(
        self,
        problem: Pipeline,
        workers: int,
        *,
        optimizer: Optimizer,
        points: Sequence[Point] = (),
        proposing: float = 0.0,
        load_seconds: Sequence[float] | None = None,
        drain: bool = False,
    ) -> None:
        self.problem = problem
        self.stages = problem.stages
        self.optimizer = optimizer
        self.waiting = list(reversed(points))
        self.proposing = proposing
        self.drain = drain
        self.load_seconds = load_seconds or [LOAD_SECONDS] * len(self.stages)
        self.pending: list[Point] = []
        self.ready: dict[tuple[int, Point], float] = {}  # when each output is or will be there
        self.events: list[tuple[float, int, Trial | None, int]] = []
        self.now = self.paid = self.finished = self.saved = self.waited = 0.0
        self.driver_free = 0.0
        self.started = 0
        self.values: list[float] = []
        for _ in range(workers):
            self._ask()

    def run(self) -> dict[str, float]:
        """Spend the budget; what was found, and what it took."""
        while self.events:
            self.now, _, trial, s = heapq.heappop(self.events)
            if trial is None:
                self._start()
            elif s < len(self.stages):
                self._stage(trial, s)
            else:
                self._finish(trial)
        warm = max(self.values[:WARMUP]) if len(self.values) >= WARMUP else float("nan")
        return {
            "evaluations": len(self.values),
            "warm": warm,
            "best": max(self.values),
            "wall": self.now,
            "node": self.paid,
            "waited": self.waited,
            "saved": self.saved,
        }

    def _ask(self) -> None:
        """A worker is free: the driver proposes for it once it has served those before."""
        if not self.proposing:
            self._start()
            return
        begins = max(self.now, self.driver_free)
        self.driver_free = begins + self.proposing
        self._push(begins, None, 0)

    def _start(self) -> None:
        x = self.waiting.pop() if self.waiting else self.optimizer.ask(pending=self.pending).x
        self.pending.append(x)
        self._push(self.now + self.proposing, Trial(x, {}, {}), 0)

    def _push(self, time: float, trial: Trial | None, s: int) -> None:
        self.started += 1  # of equal times the earlier event comes first
        heapq.heappush(self.events, (time, self.started, trial, s))

    def _stage(self, trial: Trial, s: int) -> None:
        seen = [trial.x[j] for j in sorted(self.stages[s].parameters)]
        key = s, tuple(-1.0 if math.isnan(u) else u for u in seen)  # NaN is equal to nothing
        if key not in self.ready:
            seconds = self.problem.cost(s, trial.x)
            if self._affords(trial, seconds):
                trial.costs[s] = seconds
                self.ready[key] = self.now + seconds
                self._push(self.ready[key], trial, s + 1)
        elif self.ready[key] > self.now:
            self.waited += self.ready[key] - self.now
            self._push(self.ready[key], trial, s)
        elif self._affords(trial, self.load_seconds[s]):
            trial.loads[s] = self.load_seconds[s]
            self.saved += self.problem.cost(s, trial.x)
            self._push(self.now + self.load_seconds[s], trial, s + 1)

    def _affords(self, trial: Trial, seconds: float) -> bool:
        """Pay for a stage of a trial, or give the trial up."""
        if self.drain or self.paid + seconds <= self.problem.budget:
            self.paid += seconds
            return True
        self.pending.remove(trial.x)
        return False

    def _finish(self, trial: Trial) -> None:
        y = self.problem.objective(np.array(trial.x))
        self.values.append(y)
        self.pending.remove(trial.x)
        self.optimizer.tell(trial.x, y, trial.costs, trial.loads)
        self.finished += sum(trial.costs.values()) + sum(trial.loads.values())
        if not self.drain or self.finished < self.problem.budget:
            self._ask()


def simulation(problem: Problem, workers: int, seed: int) -> Simulation:
    """Of a synthetic pipeline, with the benchmark's warm-up points."""
    return Simulation(
        problem,
        workers,
        optimizer=Optimizer(problem.dimensions, problem.stages, seed=seed, warmup=2),
        points=warmup_points(problem, seed),
    )


def load() -> dict[tuple[str, int, int], dict[str, Any]]:
    """Finished runs by problem, number of workers and seed."""
    rows = (
        [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    )
    return {(row["problem"], row["workers"], row["seed"]): row for row in rows}


def table(name: str, workers: list[int]) -> list[str]:
    """Medians over the seeds that all numbers of workers have."""
    runs = load()
    common = set.intersection(
        *({seed for p, w, seed in runs if (p, w) == (name, n)} for n in workers)
    )
    if not common or 1 not in workers:
        return []
    seeds = sorted(common)
    lines = [
        f"## {name}, {len(seeds)} seeds",
        "",
        "| workers | evaluations | gain against one worker | regret | times faster | waiting |",
        "|---|---|---|---|---|---|",
    ]
    maximum = PROBLEMS[name].maximum
    for n in workers:
        rows = [runs[name, n, seed] for seed in seeds]
        alone = [runs[name, 1, seed] for seed in seeds]
        gain = sum(r["best"] - a["warm"] for r, a in zip(rows, alone, strict=True)) / sum(
            a["best"] - a["warm"] for a in alone
        )
        busy = statistics.median(r["node"] / r["wall"] for r in rows)
        idle = statistics.median(r["waited"] / (r["waited"] + r["node"]) for r in rows)
        lines.append(
            f"| {n} | {statistics.median(r['evaluations'] for r in rows):g} | {gain:.0%} "
            f"| {statistics.median(maximum - r['best'] for r in rows):.3g} | {busy:.1f} "
            f"| {idle:.1%} |"
        )
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    chosen = ["chain3-early", "chain3-late", "dag-blend"]
    parser.add_argument("--problems", nargs="*", default=chosen, choices=list(PROBLEMS))
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 4, 16, 64, 256])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for seed in range(arguments.seeds):
        for name in arguments.problems:
            for n in arguments.workers:
                if (name, n, seed) not in load():
                    run = simulation(PROBLEMS[name], n, seed).run()
                    row = {"problem": name, "workers": n, "seed": seed}
                    row |= {key: float(f"{value:.6g}") for key, value in run.items()}
                    with RESULTS.open("a") as file:
                        file.write(json.dumps(row) + "\n")
    for name in arguments.problems:
        print("\n".join(table(name, arguments.workers)))


if __name__ == "__main__":
    main()
