"""Seconds that a proposal takes, on one core.

    python tests/benchmarks/proposal_time.py

Ten parameters, a chain of five stages, 25 candidate cuts, a history in which two of three trials
reuse a prefix. Each proposal comes after one more trial, as proposed: surrogates whose data are as
before are not fitted again. Beside it, on the same history: with all fitted anew; the same
optimizer searching one cut after the other, all fitted anew; and Optuna's GPSampler. Then the
optimizer alone with the cuts it uses by default, and the memory that its process holds after more
and more proposals.
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

from kedro_eeipu.optimizer import Dimension, Optimizer, Stage, optimizer, surrogates
from kedro_eeipu.optimizer.optimize import Candidate, CutSearch

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


def timed(call: Callable[[], object], repeats: int, before: Callable[[], object]) -> str:
    """Seconds of a call, each time after what comes before it, which is not timed."""
    call()
    seconds = []
    for _ in range(repeats):
        before()
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    low, _, high = statistics.quantiles(seconds, n=4)
    return f"{statistics.median(seconds):7.3f}  ({low:.3f} - {high:.3f})"


def go_on(told: Optimizer) -> None:
    """One more trial, as proposed: what a proposal must fit anew is what this trial ran."""
    proposal = told.ask()
    x = np.array(proposal.x)
    ran = set(range(STAGES)) - proposal.reused
    told.tell(proposal.x, objective(x), {s: float(np.exp(x[2 * s] + s / 2)) for s in ran})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print(f"seconds per proposal, median (quartiles) of {repeats}")
    told = ours(100)
    study = gp_sampler(100)
    with mock.patch.object(optimizer, "_MAX_CUTS", CUTS):
        print(f"  100 trials, 25 cuts            {timed(told.ask, repeats, lambda: go_on(told))}")
        forget = surrogates._fits.clear
        print(f"  100 trials, all fitted anew    {timed(told.ask, repeats, forget)}")
        with mock.patch.object(optimizer, "CutSearch", OneByOne):
            print(f"  100 trials, one cut at a time  {timed(told.ask, repeats, forget)}")
    peer = timed(lambda: study.ask(study.ranges), repeats, lambda: None)
    print(f"  100 trials, Optuna GPSampler   {peer}")
    told = ours(100)
    print(f"  100 trials, default cuts       {timed(told.ask, repeats, lambda: go_on(told))}")
    told = ours(1000)
    print(f"1,000 trials, default cuts       {timed(told.ask, repeats, lambda: go_on(told))}")
    print(f"1,000 trials, all fitted anew    {timed(told.ask, repeats, forget)}")
    for _ in range(3):
        for _ in range(repeats):
            forget()
            told.ask()
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  most memory so far: {held:.0f} MB")


if __name__ == "__main__":
    main()
