"""What the trials of a study have reported on the way, and when a further one is to end early.

A value is too bad when three quarters of the earlier ones were better: those that trainings had at
the same step, or, of a value between nodes (``report:``), those of other trials.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import TrialRecord

__all__ = [
    "expected_of_stopped",
    "threshold_of_report",
    "thresholds_of_nodes",
    "thresholds_of_reports",
]

# As many trials as Optuna's median pruner waits for.
_FEWEST = 5
_STOPPED_SHARE = 0.25  # of those that have reached a step
_MOST = 300  # of which each pair is looked at


@dataclass
class _Trainings:
    """The trainings of one node by its key, each counted once, though many trials reuse it.

    Attributes:
        whole: What those have reported that came to their end.
        stopped: What the others have.
        values: The best objective of the trials that have used one.
    """

    whole: dict[str, Mapping[int, float]] = field(default_factory=dict)
    stopped: dict[str, Mapping[int, float]] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)

    def agreement(self) -> float:
        """Whether of two trainings the better by its last value is the better by its trials, too.

        Pairs of which that is so less those of which the opposite is, among the latest trainings;
        NaN where there are too few.
        """
        keys = [key for key in self.whole if key in self.values][-_MOST:]
        if len(keys) < _FEWEST:
            return math.nan
        ends = [list(self.whole[key].values())[-1] for key in keys]
        values = [self.values[key] for key in keys]
        order = [np.sign(np.subtract.outer(v, v)) for v in (ends, values)]
        return float((order[0] * order[1]).sum())

    def expected(self, curve: Sequence[tuple[int, float]], maximize: bool) -> float | None:
        """The objective of a training that was stopped after this; ``None`` if nothing is like it.

        The median of those that were no better at its last step; the worst, if all were better.
        """
        sign = 1 if maximize else -1
        for step, value in reversed(curve):
            known = [k for k, c in self.whole.items() if step in c and k in self.values]
            if known:
                alike = [k for k in known if sign * self.whole[k][step] <= sign * value]
                worst = sign * min(sign * self.values[k] for k in known)
                return median(self.values[k] for k in alike) if alike else worst
        return None


def threshold_of_report(trials: Iterable[TrialRecord], step: int, maximize: bool) -> float:
    """What a value between nodes must reach; NaN where there are fewer than five different ones.

    Three quarters of the values are at least as good, both of the different ones of all trials and
    of those of complete trials. The first keeps trials that reuse a good prefix again and again
    from raising the threshold; the second, those of which many have come to the same bad value.

    Args:
        trials: Trials of the pipeline's present state.
        step: Place of the value among the reports.
        maximize: Whether larger values are better.
    """
    shown = [t for t in trials if step in t.reported and t.state in ("complete", "pruned")]
    different = {t.reported[step] for t in shown}
    complete = [t.reported[step] for t in shown if t.state == "complete"]
    bounds = [_threshold(different, maximize), _threshold(complete, maximize)]
    if any(math.isnan(bound) for bound in bounds):
        return math.nan
    return min(bounds) if maximize else max(bounds)


def thresholds_of_nodes(
    trials: Iterable[TrialRecord], maximize: bool
) -> tuple[dict[str, dict[int, float]], list[str]]:
    """By node and step, what three quarters of its trainings were at least as good as.

    Trainings that were stopped count at the steps that they have reached. Else those that went on,
    the better ones, would raise the threshold again and again.

    A node is left out of which fewer than five trainings came to their end, or whose curves end
    the other way round than the objective: the better the last value, the worse the trial. It
    reports a loss where a score is maximised, or the like.

    Args:
        trials: Trials of the pipeline's present state.
        maximize: Whether larger values are better.

    Returns:
        The thresholds, and the names of the nodes whose curves end the other way round.
    """
    found, contrary = {}, []
    for name, trainings in _trainings(trials, maximize).items():
        agreement = trainings.agreement()
        reached = _reached(trainings)
        by_step = _known({s: _threshold(some, maximize) for s, some in reached.items()})
        if agreement < 0:
            contrary.append(name)
        elif agreement >= 0 and by_step:  # NaN is neither
            found[name] = by_step
    return found, contrary


def thresholds_of_reports(trials: Sequence[TrialRecord], maximize: bool) -> dict[int, float]:
    """By place among the reports, `threshold_of_report` where there is one.

    Args:
        trials: Trials of the pipeline's present state.
        maximize: Whether larger values are better.
    """
    steps = {step for trial in trials for step in trial.reported}
    return _known({step: threshold_of_report(trials, step, maximize) for step in steps})


def expected_of_stopped(trials: Sequence[TrialRecord], maximize: bool) -> dict[int, float]:
    """By number of a trial that was stopped in a node, the objective that it would have come to.

    It is the median of the trainings that were no better at the step at which it was stopped; the
    worst, where all were better.

    Args:
        trials: Trials of the pipeline's present state.
        maximize: Whether larger values are better.
    """
    nodes = _trainings(trials, maximize)
    expected = {
        trial.number: nodes[node.name].expected(node.curve, maximize)
        for trial in trials
        for node in trial.nodes
        if node.status == NodeState.STOPPED and node.name in nodes
    }
    return {number: value for number, value in expected.items() if value is not None}


def _trainings(trials: Iterable[TrialRecord], maximize: bool) -> dict[str, _Trainings]:
    """By node, what its trainings have reported."""
    better = max if maximize else min
    nodes: defaultdict[str, _Trainings] = defaultdict(_Trainings)
    for trial in trials:
        for node in trial.nodes:
            if not node.curve:
                continue
            trainings, key = nodes[node.name], node.key or f"trial {trial.number}"
            if node.status == NodeState.STOPPED:
                trainings.stopped[key] = dict(node.curve)
            if not node.has_outputs:
                continue
            trainings.whole[key] = dict(node.curve)
            if trial.value is not None:
                known = trainings.values.get(key, trial.value)
                trainings.values[key] = better(known, trial.value)
    return nodes


def _reached(trainings: _Trainings) -> dict[int, list[float]]:
    """By step, the values of all trainings that have come so far."""
    reached: defaultdict[int, list[float]] = defaultdict(list)
    for curve in ({**trainings.stopped, **trainings.whole}).values():
        for step, value in curve.items():
            reached[step].append(value)
    return reached


def _threshold(values: Collection[float], maximize: bool) -> float:
    """What three quarters of the finite values are at least as good as; NaN of fewer than five."""
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < _FEWEST:
        return math.nan
    return float(np.quantile(finite, _STOPPED_SHARE if maximize else 1 - _STOPPED_SHARE))


def _known(thresholds: Mapping[int, float]) -> dict[int, float]:
    """Those that are numbers."""
    return {step: bound for step, bound in thresholds.items() if not math.isnan(bound)}
