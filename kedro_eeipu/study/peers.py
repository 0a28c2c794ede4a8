"""Optuna's own samplers as peers, and one way to ask any sampler for the next parameters."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from kedro_eeipu.graph import SearchSpace
from kedro_eeipu.study.storage import distribution

PEERS = ("random", "tpe", "gp")


def peer(name: str, seed: int, number: int) -> BaseSampler:
    """One of Optuna's samplers, made anew for each trial so that a resumed study goes on alike.

    Args:
        name: One of `PEERS`.
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


def propose(sampler: BaseSampler, study: optuna.Study, space: SearchSpace) -> dict[str, Any]:
    """Ask a sampler for the values of the active parameters, without recording a trial."""
    trial = FrozenTrial(
        number=len(study.get_trials(deepcopy=False)),
        trial_id=-1,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=None,
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
    relative = sampler.sample_relative(
        study, trial, sampler.infer_relative_search_space(study, trial)
    )
    values: dict[str, Any] = {}
    for r in space:
        if r not in space.active(values | {r.path: r.default}):
            continue
        if r.path in relative:
            values[r.path] = relative[r.path]
        else:
            values[r.path] = sampler.sample_independent(study, trial, r.path, distribution(r))
    return values
