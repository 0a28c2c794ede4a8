"""What a comparison has come to: one run per sampler and seed, and their summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import mean, median
from typing import Any

from kedro_eeipu.comparison.account import price
from kedro_eeipu.study.records import TrialRecord
from kedro_eeipu.study.sampler_names import EEIPU

__all__ = ["RATIOS", "Run", "ratios", "run_of", "summaries"]

FIGURES = ("candidates", "best", "improvement", "reuse", "proposing_seconds")
# Those of which more is better for whoever is compared.
RATIOS = ("candidates", "improvement")


@dataclass(frozen=True)
class Run:
    """One sampler with one seed.

    From scratch, all trials count as after the warm-up.

    Attributes:
        sampler: Its name.
        seed: Its seed.
        cached: Whether it pays only for what it has not computed before.
        budget_seconds: Node time that it had after the warm-up.
        finished: Whether that is used up.
        candidates: Configurations evaluated after the warm-up, within the budget.
        warmup_best: Best value of the warm-up; from scratch, the value of the project's own values.
        best: Best value at the end.
        improvement: How much better the latter is, never negative.
        reuse: Share of the node time after the warm-up that was not paid for again.
        proposing_seconds: Time spent on choosing those candidates, not part of the budget.
        node_seconds: Node time of those candidates.
        curve: Node time since the warm-up and best value so far, from 0 on; from scratch, from the
            end of the first trial on.
    """

    sampler: str
    seed: int
    cached: bool
    budget_seconds: float
    finished: bool
    candidates: int
    warmup_best: float | None
    best: float | None
    improvement: float
    reuse: float
    proposing_seconds: float
    node_seconds: float
    curve: tuple[tuple[float, float], ...]

    @property
    def label(self) -> str:
        """The sampler's name in tables and figures."""
        return self.sampler if self.cached else f"{self.sampler}, no cache"


def run_of(
    sampler: str,
    seed: int,
    cached: bool,
    trials: Sequence[TrialRecord],
    *,
    warmup: int,
    budget: float,
    maximize: bool,
    finished: bool,
    from_scratch: bool = False,
) -> Run:
    """Sum one study up; a trial that ends after the budget does not count.

    Args:
        sampler: The sampler's name.
        seed: Its seed.
        cached: Whether it reuses what it has computed.
        trials: Its trials, those that were interrupted left out.
        warmup: How many of them are warm-up.
        budget: Seconds of node time after the warm-up.
        maximize: Whether larger values are better.
        finished: Whether the study is over.
        from_scratch: Whether the budget pays for the warm-up, too.
    """
    sign = 1 if maximize else -1
    first, rest = trials[:warmup], trials if from_scratch else trials[warmup:]
    spent = list(accumulate(map(price, rest)))
    counted = [t for t, seconds in zip(rest, spent, strict=True) if seconds <= budget]
    values = [t.value for t in first if t.value is not None]
    warmup_best = max(values, key=lambda v: sign * v, default=None)
    curve: list[tuple[float, float]] = []
    best = None if from_scratch else warmup_best
    if best is not None:
        curve.append((0.0, best))
    for trial, seconds in zip(counted, spent, strict=False):
        if trial.value is not None and (best is None or sign * trial.value > sign * best):
            best = trial.value
        if best is not None:
            curve.append((round(seconds, 3), best))
    cost, saved = sum(t.cost for t in counted), sum(t.saved for t in counted)
    improved = best is not None and warmup_best is not None
    return Run(
        sampler=sampler,
        seed=seed,
        cached=cached,
        budget_seconds=round(budget, 3),
        finished=finished,
        candidates=sum(t.value is not None for t in counted),
        warmup_best=warmup_best,
        best=best,
        improvement=abs(best - warmup_best) if improved else 0.0,  # type: ignore[operator]
        reuse=saved / (saved + cost) if saved else 0.0,
        proposing_seconds=round(sum(t.proposing for t in counted), 3),
        node_seconds=round(cost, 3),
        curve=tuple(curve),
    )


def summaries(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Of each sampler the median, the lowest and the highest of every figure, over the seeds."""
    summary = {}
    for label in dict.fromkeys(r.label for r in runs):
        own = [r for r in runs if r.label == label]
        summary[label] = {"seeds": len(own)} | {
            name: _spread([getattr(r, name) for r in own if getattr(r, name) is not None])
            for name in FIGURES
        }
    return summary


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"median": median(values), "low": min(values), "high": max(values)}


def ratios(runs: Sequence[Run]) -> dict[str, dict[str, float | None]]:
    """Ratio of EEIPU's mean over the seeds to each peer's, and to the mean of the peers'.

    ``None`` where the peer has come to nothing.
    """
    ours = [r for r in runs if r.sampler == EEIPU]
    peers: Mapping[str, list[Run]] = {
        label: [r for r in runs if r.label == label]
        for label in dict.fromkeys(r.label for r in runs if r.sampler != EEIPU)
    }
    if not ours or not peers:
        return {}
    table: dict[str, dict[str, float | None]] = {label: {} for label in (*peers, "mean of peers")}
    for name in RATIOS:
        own = mean(getattr(r, name) for r in ours)
        theirs = {label: mean(getattr(r, name) for r in own_) for label, own_ in peers.items()}
        for label, other in {**theirs, "mean of peers": mean(theirs.values())}.items():
            table[label][name] = own / other if other else None
    return table
