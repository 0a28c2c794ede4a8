"""Which samplers can be compared, and how each is made for its next trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.study.peers import peer
from kedro_eeipu.study.sampler_names import EEIPU, PEERS

__all__ = ["SAMPLERS", "check_samplers", "next_sampler"]

_EXTRA = ("smac", "ax")  # and the modules that they need
SAMPLERS = (EEIPU, *PEERS, "logei", "carbo", *_EXTRA)


def check_samplers(samplers: Sequence[str], uncached: Sequence[str]) -> None:
    """Refuse samplers that are unknown, not installed, or named without need.

    Args:
        samplers: Those that are compared.
        uncached: Those of them that are to have no cache.

    Raises:
        ConfigurationError: There is such a sampler.
    """
    if not samplers:
        raise ConfigurationError(
            "it names no sampler", where="--samplers", remedy=f"Known: {', '.join(SAMPLERS)}."
        )
    for name in (*samplers, *uncached):
        if name not in SAMPLERS:
            raise ConfigurationError(
                f"there is no sampler '{name}'", remedy=f"Known: {', '.join(SAMPLERS)}."
            )
        if name in _EXTRA and find_spec(name) is None:
            raise ConfigurationError(
                f"sampler '{name}' needs a package that is not installed",
                where="--samplers",
                remedy="Run: pip install 'kedro-eeipu[peers]'",
            )
    if EEIPU in uncached:
        raise ConfigurationError(
            f"{EEIPU} needs the cache", where="--no-cache-for", remedy="Name other samplers."
        )
    for name in uncached:
        if name not in samplers:
            raise ConfigurationError(f"{name} is not compared", where="--no-cache-for")


def next_sampler(
    name: str,
    space: SearchSpace,
    seed: int,
    number: int,
    cost: Callable[[FrozenTrial], float],
    budget_left: float,
) -> BaseSampler:
    """A peer, made for one trial.

    Args:
        name: One of `SAMPLERS`, but not EEIPU.
        space: The ranges.
        seed: Its seed.
        number: Number of the trial; below the usual length of a warm-up, samplers that have no
            warm-up of their own get points of a Sobol sequence.
        cost: Seconds that a finished trial took.
        budget_left: The share of the budget that is left, in [0, 1].
    """
    from kedro_eeipu.optimizer.warmup import warmup_trials

    if name in PEERS:
        return peer(name, seed, number)
    warmup = number if number < warmup_trials(len(space)) else None
    if name in _EXTRA:
        from kedro_eeipu.comparison.extra_peers import AxSampler, SMACSampler

        return (SMACSampler if name == "smac" else AxSampler)(space, seed, warmup=warmup)
    from kedro_eeipu.comparison.botorch_peers import LogEISampler

    if name == "logei":
        return LogEISampler(space, seed, warmup=warmup)
    return LogEISampler(space, seed, warmup=warmup, cost=cost, budget_left=budget_left)
