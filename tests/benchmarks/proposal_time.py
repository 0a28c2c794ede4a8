"""Seconds that a proposal takes, on one core.

    python tests/benchmarks/proposal_time.py

Ten parameters, a chain of five stages, 25 candidate cuts, a history in which two of three trials
reuse a prefix. Beside it, on the same history: the same optimizer searching one cut after the
other, and Optuna's GPSampler. Then the optimizer alone with the cuts it uses by default, and the
memory that its process holds after more and more proposals.
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

from kedro_eeipu.optimizer import Dimension, Optimizer, Stage, optimizer
from kedro_eeipu.optimizer.cut_search import Candidate, CutSearch

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
        told.tell(x, objective(x), costs)
    return told


def gp_sampler(trials: int) -> optuna.Study:
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
    study.ranges = ranges  # type: ignore[attr-defined]
    return study


def timed(call: Callable[[], object], repeats: int) -> str:
    call()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    low, _, high = statistics.quantiles(seconds, n=4)
    return f"{statistics.median(seconds):7.3f}  ({low:.3f} - {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print(f"seconds per proposal, median (quartiles) of {repeats}")
    told = ours(100)
    study = gp_sampler(100)
    with mock.patch.object(optimizer, "_MAX_CUTS", CUTS):
        print(f"  100 trials, 25 cuts            {timed(told.ask, repeats)}")
        with mock.patch.object(optimizer, "CutSearch", OneByOne):
            print(f"  100 trials, one cut at a time  {timed(told.ask, repeats)}")
    print(f"  100 trials, Optuna GPSampler   {timed(lambda: study.ask(study.ranges), repeats)}")
    print(f"  100 trials, default cuts       {timed(told.ask, repeats)}")
    told = ours(1000)
    print(f"1,000 trials, default cuts       {timed(told.ask, repeats)}")
    for _ in range(3):
        for _ in range(repeats):
            told.ask()
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  most memory so far: {held:.0f} MB")


if __name__ == "__main__":
    main()
