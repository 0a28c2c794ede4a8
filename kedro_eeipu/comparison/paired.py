"""EEIPU against each peer, seed by seed: who ends better, could it be chance, and who is sooner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from scipy.stats import wilcoxon

from kedro_eeipu.comparison.results import Run
from kedro_eeipu.study.sampler_names import EEIPU

__all__ = ["LEAST_SEEDS", "best_peer", "holm", "paired"]

LEAST_SEEDS = 6
"""With fewer seeds the two-sided test cannot come below 0.05, whatever the values are."""


def paired(runs: Sequence[Run], maximize: bool) -> dict[str, dict[str, Any]]:
    """EEIPU against every peer over the seeds that both have, by the peer's label.

    The p values are of a two-sided Wilcoxon signed-rank test (Wilcoxon, 1945) on the final values,
    paired by seed. Seeds with equal values are left out of its ranks. They are corrected for the
    number of peers (Holm, 1979).

    `seconds_ratio` is the node seconds until EEIPU's best value is at least as good as the
    peer's final one, divided by those until the peer had it. A seed in which EEIPU never gets
    there counts as infinite. A seed in which both have that value from the beginning counts as 1.
    `budget_share` has the same seconds of EEIPU's divided by its whole budget.

    Args:
        runs: All runs of one pipeline.
        maximize: Whether larger values are better.

    Returns:
        For each peer: ``seeds``; in how many of them EEIPU ends ``better``, ``equal`` or ``worse``;
        ``p`` and ``p_uncorrected``, ``None`` for fewer than `LEAST_SEEDS`; in how many seeds EEIPU
        has ``reached`` the peer's final value; and ``seconds_ratio`` and ``budget_share``: median,
        low and high, ``None`` in the place of infinity.
    """
    ours = {r.seed: r for r in runs if r.sampler == EEIPU}
    table: dict[str, dict[str, Any]] = {}
    for label in dict.fromkeys(r.label for r in runs if r.sampler != EEIPU):
        pairs = [(ours[r.seed], r) for r in runs if r.label == label and r.seed in ours]
        if pairs:
            table[label] = _against(pairs, 1 if maximize else -1)
    tested = {label: row["p_uncorrected"] for label, row in table.items()}
    corrected = holm({label: p for label, p in tested.items() if p is not None})
    return {label: row | {"p": corrected.get(label)} for label, row in table.items()}


def _against(pairs: Sequence[tuple[Run, Run]], sign: int) -> dict[str, Any]:
    gains = [_gain(ours.best, peer.best, sign) for ours, peer in pairs]
    timed = [_times(ours, peer, sign) for ours, peer in pairs]
    return {
        "seeds": len(pairs),
        "better": sum(gain > 0 for gain in gains),
        "equal": sum(gain == 0 for gain in gains),
        "worse": sum(gain < 0 for gain in gains),
        "p_uncorrected": _p(gains),
        "reached": sum(share < math.inf for _, share in timed),
        "seconds_ratio": _spread([ratio for ratio, _ in timed]),
        "budget_share": _spread([share for _, share in timed]),
    }


def _gain(ours: float | None, theirs: float | None, sign: int) -> float:
    """How much better ours is; infinite where one of them has no value at all."""
    if ours is not None and theirs is not None:
        return sign * (ours - theirs)
    if ours is theirs:
        return 0.0
    return math.inf if theirs is None else -math.inf


def _p(gains: Sequence[float]) -> float | None:
    if len(gains) < LEAST_SEEDS:
        return None
    return float(wilcoxon(gains).pvalue) if any(gains) else 1.0


def _times(ours: Run, peer: Run, sign: int) -> tuple[float, float]:
    """EEIPU's seconds to the peer's final value, by those of the peer and by the whole budget."""
    if peer.best is None:  # there is nothing to reach
        return 0.0, 0.0
    target = sign * peer.best
    own, theirs = _seconds_to(ours, target, sign), _seconds_to(peer, target, sign)
    ratio = 1.0 if own == theirs == 0 else math.inf if theirs == 0 else own / theirs
    return ratio, own / ours.budget_seconds


def _seconds_to(run: Run, target: float, sign: int) -> float:
    return next((seconds for seconds, best in run.curve if sign * best >= target), math.inf)


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    """JSON has no infinity."""
    figures = {"median": median(values), "low": min(values), "high": max(values)}
    return {name: None if value == math.inf else value for name, value in figures.items()}


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for how many they are, by Holm's step-down rule (Holm, 1979).

    The smallest of m is multiplied by m, the next by m - 1, and so on; each is at least as large as
    the one before, and none is larger than 1.
    """
    corrected: dict[str, float] = {}
    last = 0.0
    for i, label in enumerate(sorted(p_values, key=lambda label: p_values[label])):
        last = max(last, min(1.0, (len(p_values) - i) * p_values[label]))
        corrected[label] = last
    return corrected


def best_peer(runs: Sequence[Run], maximize: bool) -> str | None:
    """Label of the peer with the best final value on average over the seeds; `None` without any."""
    values: dict[str, list[float]] = {}
    for r in runs:
        if r.sampler != EEIPU and r.best is not None:
            values.setdefault(r.label, []).append(r.best)
    sign = 1 if maximize else -1
    return max(values, key=lambda label: sign * mean(values[label]), default=None)
