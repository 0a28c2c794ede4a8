"""What the optimizer proposes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Proposal"]


@dataclass(frozen=True)
class Proposal:
    """What to try next.

    Args:
        x: configuration of length d on the unit cube, NaN where a parameter is inactive.
        owners: per column the index of the trial whose exact value is reused there, else None;
            pending trials are numbered after the told ones.
        reused: stages expected to be served from the cache.
        info: of a model-based proposal `log_ei` (EI in standard deviations of the told, possibly
            warped, objectives), `log_inverse_cost`, `expected_cost` (seconds, with overhead), and,
            where cost counts, `payoff`: what spending as much again as was spent so far would
            improve at this proposal's rate, in the unit of EI.
    """

    x: tuple[float, ...]
    owners: tuple[int | None, ...]
    reused: frozenset[int]
    info: dict[str, float]
