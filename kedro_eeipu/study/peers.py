"""Optuna's own samplers as peers, and one way to ask any sampler for the next parameters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from kedro_eeipu.search import Range, SearchSpace
from kedro_eeipu.study.encoding import distribution
from kedro_eeipu.study.sampler import EEIPUSampler

__all__ = ["peer", "propose"]


def peer(name: str, seed: int, number: int) -> BaseSampler:
    """One of Optuna's samplers, made again for each trial, so that a resumed study continues alike.

    Args:
        name: One of `sampler_names.PEERS`.
        seed: Seed of the study.
        number: Number of the trial to propose.
    """
    own = (seed * 1_000_003 + number) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "random":
            return RandomSampler(seed=own)
        if name == "tpe":
            return TPESampler(seed=own)
        return GPSampler(seed=own, warn_independent_sampling=False)


def propose(
    sampler: BaseSampler,
    trials: Sequence[FrozenTrial],
    direction: optuna.study.StudyDirection,
    space: SearchSpace,
) -> dict[str, Any]:
    """Ask a sampler for the values of the active parameters, without recording a trial.

    Optuna's samplers write into the trial they are asked for, so they are asked in a copy in
    memory; the real study gets the trial in one transaction, once all its values are known.
    """
    if isinstance(sampler, EEIPUSampler):
        return sampler.propose(trials, direction)
    copy = optuna.create_study(direction=direction, sampler=sampler)
    if not isinstance(sampler, RandomSampler):  # which does not look at them
        copy.add_trials(trials)
    trial = copy.ask()
    values: dict[str, Any] = {}
    for r in space:
        if r in space.active(values | {r.path: r.default}):
            values[r.path] = _suggest(trial, r)
    return values


def _suggest(trial: optuna.Trial, r: Range) -> Any:
    if r.kind == "categorical":
        return trial.suggest_categorical(r.path, r.choices)
    d = distribution(r)
    if isinstance(d, IntDistribution):
        return trial.suggest_int(r.path, d.low, d.high, step=d.step, log=d.log)
    assert isinstance(d, FloatDistribution)
    value = trial.suggest_float(r.path, d.low, d.high, step=d.step, log=d.log)
    return value if r.step is None else r.nearest(value)
